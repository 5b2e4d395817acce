"""What Meta's answer means for the events that were sent. SPEC: meta-capi 13; requirements R133-R136.

Decided by status, `code` and `error_subcode` only: Meta's messages are in the language of the token's
owner and may repeat what was sent, so none of them is kept. `fbtrace_id` is: Meta's support asks for it.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from sgtm.messages import Outcome, OutgoingRequest, VendorAnswer

THROTTLED = frozenset({4, 17, 32, 613, 80003, 80004})
TEMPORARY = frozenset({1, 2, 341, 368})
PERMISSION = frozenset({3, 10, *range(200, 300)})
BAD_TOKEN, OLD_VERSION, INVALID = 190, 2635, 100
UNKNOWN_PIXEL = 33

MEANINGS: dict[tuple[int, int], str] = {
    (100, 2804003): "event_time is older than 7 days",
    (100, 2804009): "a Purchase without value or currency",
    (100, 2804050): "not enough customer information",
    (100, UNKNOWN_PIXEL): "the pixel is unknown, or the token has no right on it",
    (190, 460): "the token's password was changed",
    (190, 463): "the token has expired",
    (190, 467): "the token is invalid",
}
_MEANINGS_OF_CODES = (
    ({INVALID}, "an event is not valid"),
    ({BAD_TOKEN}, "the token does not work"),
    ({OLD_VERSION}, "the API version is too old: raise `api_version`"),
    (PERMISSION, "the token lacks a permission"),
    (THROTTLED, "throttled"),
    (TEMPORARY, "temporary failure"),
)


def read(answer: VendorAnswer, requests: Sequence[OutgoingRequest]) -> Outcome | list[Outcome]:
    """One outcome for all, or one for each where Meta names the bad ones of a batch.

    A failed batch stored nothing, so what is sent again cannot be a duplicate of it."""
    body = _json(answer.body)
    error = _dict(body.get("error")) if body is not None else {}
    if body is not None and not error and 200 <= answer.status < 300:
        return _accepted(body, len(requests))
    code, subcode = _integer(error.get("code")), _integer(error.get("error_subcode"))
    reason = _reason(answer.status, code, subcode, error)
    is_temporary = error.get("is_transient") is True or code in THROTTLED | TEMPORARY
    if answer.status == 413:
        # Not Meta's own word but a proxy's on the way: halves may pass, the same again never will.
        return Outcome("isolate", reason) if len(requests) > 1 else Outcome("dead", reason)
    if is_temporary or answer.status >= 500 or answer.status == 429 or body is None:
        return Outcome("retry", reason)
    if code == INVALID and subcode != UNKNOWN_PIXEL:
        return _isolated(error, reason, len(requests))
    if code in {INVALID, BAD_TOKEN, OLD_VERSION} | PERMISSION or answer.status in (401, 403):
        return Outcome("refused", reason)
    return Outcome("dead", reason)


def _accepted(body: dict[str, Any], count: int) -> Outcome:
    """A 2xx is a success only if it counts the events (R303)."""
    received = body.get("events_received")
    if not isinstance(received, int) or isinstance(received, bool) or received < 1:
        return Outcome("dead", f"Meta answered without events_received{_trace(body)}")
    warnings = []
    if received != count:
        warnings.append(f"Meta counted {received} of {count} events{_trace(body)}")
    if body.get("messages"):
        warnings.append(f"Meta's answer carries messages{_trace(body)}")
    return Outcome("done", f"received{_trace(body)}", warnings=tuple(warnings))


def _isolated(error: dict[str, Any], reason: str, count: int) -> Outcome | list[Outcome]:
    """Code 100: the only event is dead; of many, those that are blamed, and the others go again."""
    if count == 1:
        return Outcome("dead", reason)
    blamed = _blamed(error.get("error_data"), count)
    if not blamed or len(blamed) == count:
        return Outcome("isolate", reason)
    innocent = Outcome("retry", "was in a batch with an event that is not valid")
    return [Outcome("dead", reason) if index in blamed else innocent for index in range(count)]


def _blamed(error_data: Any, count: int) -> set[int]:
    """Places in `data` that `blame_field_specs` points at: [["data", 0, "user_data"], ...] or, in one
    text, ["data[0][user_data]"]. A path that points at no single event blames nobody."""
    data = _json(error_data.encode("utf-8", "replace")) if isinstance(error_data, str) else error_data
    specs = _dict(data).get("blame_field_specs")
    found = set()
    for spec in specs if isinstance(specs, list) else []:
        path = ".".join(map(str, spec)) if isinstance(spec, list) else str(spec)
        match = _PLACE.match(path)
        if match is None or int(match[1]) >= count:
            return set()
        found.add(int(match[1]))
    return found


_PLACE = re.compile(r"data[.\[]([0-9]{1,4})(?![0-9])")


def _reason(status: int, code: int | None, subcode: int | None, error: dict[str, Any]) -> str:
    if code is None:
        return f"HTTP {status} without an error code of Meta{_trace(error)}"
    meaning = MEANINGS.get((code, subcode or 0)) or next(
        (words for codes, words in _MEANINGS_OF_CODES if code in codes), "refused"
    )
    number = f"{code}/{subcode}" if subcode else f"{code}"
    return f"Meta error {number} (HTTP {status}): {meaning}{_trace(error)}"


def _trace(body: dict[str, Any]) -> str:
    trace = body.get("fbtrace_id")
    return f", fbtrace_id {trace}" if isinstance(trace, str) and _TRACE.fullmatch(trace) else ""


_TRACE = re.compile(r"[A-Za-z0-9_/+=-]{1,64}")


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _integer(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
