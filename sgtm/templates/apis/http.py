"""sendHttpRequest and sendHttpGet, in both historical forms: a promise, or a callback as second argument.

An answer of any status is an answer; a promise is rejected with `{reason}` (`failed` or `timed_out`), and a
callback gets the status 0 or -1, when there is none. Redirects are not followed. SPEC: sandbox-api 1.4.
"""

from typing import Any

from msgspec import UNSET, Struct

from sgtm._fast.sandbox_convert import to_number, to_text
from sgtm._fast.sandbox_values import Callable, LimitError, Opaque, Run, ScriptError
from sgtm.messages import CredentialUse, OutgoingRequest, VendorAnswer, may_carry_secrets
from sgtm.protocols.outgoing_http import written_headers
from sgtm.templates.apis.declaration import api
from sgtm.templates.apis.guard import demand
from sgtm.templates.apis.sending import (
    DEFAULT_TIMEOUT_S,
    MAX_TIMEOUT_S,
    ask,
    count_call,
    promised,
    rejected,
)
from sgtm.templates.arguments import Arguments, argument
from sgtm.templates.host import Failed, host_of
from sgtm.templates.permissions import url_parts

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
MAX_HEADERS = 100


class GoogleAuth(Opaque):
    """What `getGoogleAuth` gives: says which credential a request shows, and holds none."""

    credential: CredentialUse

    def __init__(self, credential: CredentialUse) -> None:
        super().__init__("[object GoogleAuth]")
        self.credential = credential


class _Call(Struct, frozen=True):
    """Arguments of either form."""

    url: str
    callback: Any
    """None: the form of the promise."""
    options: dict[str, Any]
    body: Any


@api("sendHttpRequest", "send_http", cost=50)
def send_http_request(run: Run, args: Arguments) -> Any:
    """Sends a request: (url, options, body) gives a promise; (url, callback, options, body) calls back."""
    url, second = to_text(run, argument(args, 0)), argument(args, 1)
    is_old = isinstance(second, Callable) or (second in (None, UNSET) and isinstance(argument(args, 2), dict))
    options, body = (argument(args, 2), argument(args, 3)) if is_old else (second, argument(args, 2))
    return _sent(run, "sendHttpRequest", _Call(url, second if is_old else None, _record(options), body))


@api("sendHttpGet", "send_http", cost=50)
def send_http_get(run: Run, args: Arguments) -> Any:
    """Sends a GET request: (url, options) gives a promise; (url, callback, options) calls back."""
    url, second = to_text(run, argument(args, 0)), argument(args, 1)
    is_old = isinstance(second, Callable) or (second in (None, UNSET) and isinstance(argument(args, 2), dict))
    options = _record(argument(args, 2) if is_old else second)
    call = _Call(url, second if is_old else None, {**options, "method": "GET"}, UNSET)
    return _sent(run, "sendHttpGet", call)


def _record(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _sent(run: Run, name: str, call: _Call) -> Any:
    run.charge(len(call.url) >> 2)
    demand(run, name, "send_http", call.url, shown=call.url)
    callback = call.callback if isinstance(call.callback, Callable) else None
    request = _request(run, name, call)
    timeout_s = _timeout_s(run, call.options)
    if callback is None:
        return rejected(run, "failed") if request is None else promised(run, request, timeout_s, _read(run))
    count_call(run)
    if request is None:
        run.jobs.append(lambda: callback(run, 0, {}, UNSET))
    else:
        ask(run, request, timeout_s, lambda said: _call_back(run, callback, said))
    return UNSET


def _timeout_s(run: Run, options: dict[str, Any]) -> float:
    """SPEC: sandbox-api 1.4 (milliseconds), reliability 4.2."""
    milliseconds = to_number(run, options.get("timeout", UNSET))
    if not milliseconds > 0:
        return DEFAULT_TIMEOUT_S
    return min(milliseconds / 1000, MAX_TIMEOUT_S)


def _request(run: Run, name: str, call: _Call) -> OutgoingRequest | None:
    """The request; None, and a line on the console, where it can be none."""
    host = host_of(run)
    method = to_text(run, call.options.get("method") or "GET").upper()
    parts = url_parts(call.url)
    if parts is None or method not in METHODS:
        host.say(f"{name}: not sent, the {'method' if parts else 'address'} cannot be used")
        return None
    url = f"{parts[0]}://{parts[1]}{parts[2]}"
    body = "" if call.body in (UNSET, None) else to_text(run, call.body)
    run.make_text(len(body))
    headers, problems = written_headers(_headers(run, call.options))
    for problem in problems:
        host.say(f"{name}: {problem}")
    return OutgoingRequest(
        method, url, headers, body.encode("utf-8", "replace"), _credential(name, call.options, url)
    )


def _headers(run: Run, options: dict[str, Any]) -> dict[str, str]:
    given = options.get("headers")
    if not isinstance(given, dict):
        return {}
    if len(given) > MAX_HEADERS:
        raise LimitError("request_headers", f"a request has {MAX_HEADERS} headers at most")
    run.make_elements(len(given))
    return {
        name: to_text(run, value) for name, value in given.items() if value is not UNSET and value is not None
    }


def _credential(name: str, options: dict[str, Any], url: str) -> CredentialUse | None:
    given = options.get("authorization", UNSET)
    if given in (UNSET, None):
        return None
    if not isinstance(given, GoogleAuth):
        raise ScriptError(
            f"{name}: authorization takes what getGoogleAuth gives; write other ones as headers"
        )
    if not may_carry_secrets(url):
        raise ScriptError(f"{name}: a credential is shown to https addresses only")
    return given.credential


# -- what comes back -----------------------------------------------------------------------------------


def _read(run: Run) -> Any:
    def read(answer: VendorAnswer) -> dict[str, Any]:
        run.make_elements(3)
        body, headers = body_of(run, answer), headers_of(run, answer)
        return {"statusCode": answer.status, "headers": headers, "body": body}

    return read


def _call_back(run: Run, callback: Callable, said: VendorAnswer | Failed) -> None:
    if isinstance(said, Failed):
        callback(run, -1 if said.reason == "timed_out" else 0, {}, UNSET)
    else:
        callback(run, said.status, headers_of(run, said), body_of(run, said))


def body_of(run: Run, answer: VendorAnswer) -> Any:
    """The body as text; undefined where there is none."""
    if not answer.body:
        return UNSET
    run.make_text(len(answer.body))
    return answer.body.decode("utf-8", "replace")


def headers_of(run: Run, answer: VendorAnswer) -> dict[str, Any]:
    """Headers by lower-case name, repeated ones joined; of set-cookie an array, as in Node."""
    run.make_elements(2 * len(answer.headers))
    found: dict[str, Any] = {}
    for name, value in answer.headers:
        if name == "set-cookie":
            found.setdefault(name, []).append(value)
        else:
            found[name] = f"{found[name]}, {value}" if name in found else value
    return found
