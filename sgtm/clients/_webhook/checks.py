"""What of a webhook client, as written, is unsafe or can never work."""

import re
from collections.abc import Iterator
from typing import Any

from sgtm.clients._webhook.senders import PLACEHOLDERS, networks_of
from sgtm.errors import Problem

_BRACED = re.compile(r"\{([a-z]+)\}")


def check_senders(parameters: dict[str, Any], where: str) -> Iterator[Problem]:
    """What of the three, as written, is unsafe or can never hold."""
    is_open = not parameters.get("signature") and not parameters.get("shared_secret")
    if is_open and not parameters.get("allow_unsigned"):
        mend = "write `signature:` or `shared_secret:`; `allow_unsigned: true` lets everybody send"
        yield Problem("error", "nobody could send: there is no secret", where, mend)
    if is_open and parameters.get("allow_unsigned") and not parameters.get("allowed_addresses"):
        mend = "name the sender's networks in `allowed_addresses`, if it has any"
        yield Problem("warning", "anybody can send events", f"{where}.allow_unsigned", mend)
    written = parameters.get("allowed_addresses")
    for index, one in enumerate(written if isinstance(written, (list, tuple)) else ()):
        try:
            networks_of((str(one),))
        except ValueError:
            place = f"{where}.allowed_addresses.{index}"
            yield Problem("error", "is no address and no network", place, "write it as 192.0.2.0/24")
    for name, check_one in (("signature", _check_signature), ("shared_secret", _check_shared)):
        if isinstance(parameters.get(name), dict):
            yield from check_one(parameters[name], f"{where}.{name}")


def _check_signature(written: dict[str, Any], where: str) -> Iterator[Problem]:
    text = str(written.get("signed_text", "{body}"))
    named = set(_BRACED.findall(text))
    for name in sorted(named.difference(PLACEHOLDERS)):
        mend = f"write one of: {', '.join(PLACEHOLDERS)}"
        yield Problem("error", f"{{{name}}} stands for nothing", f"{where}.signed_text", mend)
    if "body" not in named:
        mend = "write {body} where the body belongs"
        yield Problem(
            "error", "the body is not signed: anybody could change it", f"{where}.signed_text", mend
        )
    has_time = bool(written.get("timestamp_header") or written.get("timestamp_prefix"))
    if has_time and "timestamp" not in named:
        mend = "write {timestamp} where it is signed; if the sender does not sign it, leave it out"
        yield Problem(
            "error", "the time is not signed: anybody could change it", f"{where}.signed_text", mend
        )
    if "timestamp" in named and not has_time:
        mend = "write `timestamp_header:` or `timestamp_prefix:`"
        yield Problem("error", "nothing says where the time stands", where, mend)
    if "id" in named and not written.get("id_header"):
        yield Problem("error", "nothing says where the id stands", where, "write `id_header:`")
    if written.get("algorithm") == "hmac_sha1":
        mend = "take hmac_sha256 if the sender knows it"
        yield Problem("warning", "SHA-1 is old", f"{where}.algorithm", mend)


def _check_shared(written: dict[str, Any], where: str) -> Iterator[Problem]:
    if bool(written.get("header")) == bool(written.get("query_parameter")):
        mend = "write either `header:` or `query_parameter:`"
        yield Problem("error", "the secret has one place", where, mend)


def check_places(parameters: dict[str, Any], where: str) -> Iterator[Problem]:
    """Places of what no record keeps: the event would be another one when its record runs again."""
    signature, shared = parameters.get("signature"), parameters.get("shared_secret")
    concealed = {
        f"{kind}:{str(said[key]).lower()}"
        for said, key, kind in (
            (signature, "header", "header"),
            (shared, "header", "header"),
            (shared, "query_parameter", "query"),
        )
        if isinstance(said, dict) and said.get(key)
    }
    for path, text in _texts(parameters, where):
        if text.lower() in concealed:
            mend = "take something else: no record keeps what a sender proves itself with"
            yield Problem("error", f"{text} is not there when the record runs again", path, mend)


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(str(key), f"{path}.{key}")
            yield from _texts(inner, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{path}.{index}")


def check_events(parameters: dict[str, Any], where: str) -> Iterator[Problem]:
    """Webhooks that would become nothing, or twice the same."""
    rules = parameters.get("events") or []
    if not rules and not parameters.get("other_events"):
        mend = "write `events:` with at least one `name:`, or `other_events:`"
        yield Problem("error", "no webhook would become an event", where, mend)
    for index, rule in enumerate(rules if isinstance(rules, (list, tuple)) else ()):
        if isinstance(rule, dict) and rule.get("types") and not parameters.get("event_type"):
            mend = "write `event_type:` with the place of an event's type"
            yield Problem("error", "events have no type", f"{where}.events.{index}.types", mend)
    window = parameters.get("delivery_window")
    if isinstance(window, str) and window[-1:] == "s":
        mend = "write more than the sender's retries take: Stripe's go on for days"
        yield Problem("warning", "is short", f"{where}.delivery_window", mend)
