"""Context: clients and keys that are there, and settings under which nothing could be inherited."""

from collections.abc import Iterable
from typing import Any

from sgtm.component import find
from sgtm.container.document import Path
from sgtm.container.fields import fields_of
from sgtm.container.native import Reading
from sgtm.container.report import listed
from sgtm.delivery.context.rules import CLIENT_ID, ContextRules

_OWN_REQUEST = ("adds_request_data", "from_devices")
"""Parameters of clients that take the sender for the visitor."""
_PATH: Path = ("context",)


def check_context(reading: Reading) -> None:
    """Report what keeps events from finding their browser."""
    rules = reading.model.context
    if rules is None:
        return
    _clients(reading, rules)
    _keys(reading, rules)
    _holds(reading, rules)
    for client, path in reading.entities("clients"):
        if client.name in rules.server_clients:
            _own_request(reading, client, path)


def _clients(reading: Reading, rules: ContextRules) -> None:
    known = reading.declared("clients")
    for field in ("browser_clients", "server_clients"):
        for index, name in enumerate(getattr(rules, field)):
            _name(reading, name, known, (*_PATH, field, index), "client", "declare it under `clients:`")
    for index, name in enumerate(rules.server_clients):
        if name in rules.browser_clients:
            what = f"{name!r} is in `browser_clients` too: an event is one or the other"
            reading.report.error((*_PATH, "server_clients", index), what, "remove it from one of the two")
    for name in rules.unknown_consent_of:
        place = (*_PATH, "unknown_consent_of", name)
        _name(reading, name, rules.server_clients, place, "client of `server_clients`", "list it there")


def _name(reading: Reading, name: str, known: Iterable[str], path: Path, word: str, otherwise: str) -> None:
    if name not in known:
        mend = f"{otherwise}; there are: {listed(known)}"
        reading.report.unknown(path, f"there is no {word} {name!r}", name, known, otherwise=mend)


def _keys(reading: Reading, rules: ContextRules) -> None:
    if CLIENT_ID in rules.keys:
        what = "is always a key, the last that is looked up"
        reading.report.error((*_PATH, "keys", CLIENT_ID), what, "remove it")
    for name, paths in rules.keys.items():
        if not paths:
            what = "names no key path of event data"
            reading.report.error((*_PATH, "keys", name), what, "write a list, as [transaction_id]")


def _holds(reading: Reading, rules: ContextRules) -> None:
    names: set[str] = set()
    taken: dict[str, str] = {}
    for index, rule in enumerate(rules.holds):
        place = (*_PATH, "holds", index)
        _name(reading, rule.key, rules.keys, (*place, "key"), "key", "declare it under `keys:`")
        if rule.name in names:
            what = "another rule has this name"
            reading.report.error((*place, "name"), what, "give each its own name")
        names.add(rule.name)
        for event in rule.events:
            first = taken.setdefault(event, rule.name)
            if first != rule.name:
                what = f"{event!r} falls under the rule {first!r} already: the first counts"
                reading.report.warning((*place, "events"), what, "remove it from one of the two")


def _own_request(reading: Reading, client: Any, path: Path) -> None:
    component = find("client", client.type)
    for field in fields_of(component.parameters_type) if component is not None else ():
        if field.name in _OWN_REQUEST and client.parameters.get(field.name, field.default) is True:
            what = "its events have address and user agent of whoever sends them, so they inherit none"
            reading.report.warning((*path, "parameters", field.name), what, f"write `{field.name}: false`")
