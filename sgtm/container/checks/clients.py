"""Clients: who can be reached, and by whom."""

import re
from typing import Any

from msgspec import ValidationError, convert

from sgtm.component import Component, find
from sgtm.container.container import Hosts
from sgtm.container.document import Path
from sgtm.container.environment import with_secret_names
from sgtm.container.matching import RequestCondition, members_of
from sgtm.container.model import Client, by_priority
from sgtm.container.native import Reading
from sgtm.container.report import listed
from sgtm.javascript import number_of, text_of
from sgtm.messages import CREDENTIALS
from sgtm.patterns import PatternError, compile_pattern
from sgtm.triggers.operators import NUMBER_OPERATORS

_ORIGIN = re.compile(r"https?://(\*\.)?[a-z0-9\[\]:._-]+", re.IGNORECASE)


def check_clients(reading: Reading) -> None:
    """Report clients that never claim, origins that are none, and paths that match nothing."""
    active = [(client, path) for client, path in reading.entities("clients") if not client.is_paused]
    for client, path in reading.entities("clients"):
        _origins(reading, client, path)
        _wildcards(reading, client, path)
        concealed = {*CREDENTIALS, *_concealed(client)}
        for index, condition in enumerate(client.match):
            _match(reading, condition, (*path, "match", index), concealed)
    places = {client.name: path for client, path in active}
    ordered = by_priority(client for client, _ in active)
    for index, client in enumerate(ordered):
        for earlier in ordered[:index]:
            _compare(reading, earlier, client, places[client.name])


def _match(reading: Reading, condition: RequestCondition, path: Path, concealed: set[str]) -> None:
    """What can never hold, or cannot be judged (SPEC: requirements R44)."""
    is_named = condition.part not in ("path", "method")
    if is_named != bool(condition.name):
        what = "it does not say which one" if is_named else f"a request has one {condition.part} only"
        mend = "write which one, as `name:`" if is_named else "remove it"
        reading.report.error((*path, "name"), what, mend)
    if condition.part in ("header", "query_parameter") and condition.name.lower() in concealed:
        what = f"{condition.name!r} holds a credential, which no record keeps: run again, it would not match"
        reading.report.error((*path, "name"), what, "match by something else; the client judges credentials")
    if not members_of(condition.compare_with):
        what = "an empty list: nothing is any of it"
        reading.report.warning((*path, "compare_with"), what, "write what it is compared with")
    for member in members_of(condition.compare_with):
        _member(reading, condition, member, (*path, "compare_with"))


def _member(reading: Reading, condition: RequestCondition, member: Any, place: Path) -> None:
    if condition.operator == "matches_regex":
        try:
            compile_pattern(text_of(member))
        except PatternError as error:
            reading.report.error(place, f"this pattern cannot be used: {error.what}", error.mend)
    elif condition.operator in NUMBER_OPERATORS and number_of(member) != number_of(member):
        what = f"{text_of(member)!r} is no number, and nothing compares with that"
        reading.report.warning(place, what, "write a number")
    elif condition.part == "method" and text_of(member) != text_of(member).upper():
        what = f"{text_of(member)!r} is no method: they are written in capitals"
        reading.report.warning(place, what, f"write {text_of(member).upper()}")


def _compare(reading: Reading, earlier: Client, client: Client, path: Path) -> None:
    """Two clients of which `earlier` is asked first (SPEC: requirements R52, R263, X1)."""
    if not _may_meet(earlier, client):
        return
    taken = _paths(client)
    is_for_all = not earlier.match and (
        not earlier.hosts or (client.hosts and _lower(client.hosts) <= _lower(earlier.hosts))
    )
    if taken and earlier.type == client.type and taken <= _paths(earlier) and is_for_all:
        what = f'never claims: client "{earlier.name}" is of its type and is asked first for '
        what += listed(sorted(taken))
        reading.report.warning(path, what, "give it other paths, or a higher priority, or remove it")
    elif earlier.priority == client.priority:
        what = f'client "{earlier.name}" has priority {client.priority} too; it is asked first'
        mend = "give each its own priority: the higher number is asked first, list order decides ties"
        reading.report.warning((*path, "priority"), what, mend)


def _origins(reading: Reading, client: Client, path: Path) -> None:
    for index, origin in enumerate(client.allowed_origins):
        if not _ORIGIN.fullmatch(origin):
            mend = "write https://shop.example or https://*.shop.example; to allow any, leave the list out"
            reading.report.error((*path, "allowed_origins", index), f"{origin!r} is not a web origin", mend)


def _wildcards(reading: Reading, client: Client, path: Path) -> None:
    for one in sorted(_paths(client)):
        if any(mark in one for mark in "*?#"):
            what = f"{one!r} is compared exactly: no other path is like it"
            reading.report.warning((*path, "parameters"), what, "write each path out, without a query")


def _lower(hosts: tuple[str, ...]) -> set[str]:
    return {host.lower() for host in hosts}


def _may_meet(one: Client, other: Client) -> bool:
    """Whether a request can be for the hosts of both."""
    if not (one.hosts and other.hosts):
        return True
    return any(
        Hosts.of(patterns).serves(host.lower().replace("*", "any"))
        for patterns, hosts in ((one.hosts, other.hosts), (other.hosts, one.hosts))
        for host in hosts
    )


def _paths(client: Client) -> set[str]:
    """Paths that a client can claim; empty where it cannot say, or its parameters do not fit."""
    component, parameters = _read(client)
    return (
        set(component.paths(parameters)) if component is not None and component.paths is not None else set()
    )


def _concealed(client: Client) -> tuple[str, ...]:
    """What of a request the client keeps out of its record."""
    component, parameters = _read(client)
    return component.conceals(parameters) if component is not None and component.conceals is not None else ()


def _read(client: Client) -> tuple[Component | None, Any]:
    """A client's component and its parameters; None for one that is not there or does not fit."""
    component = find("client", client.type)
    if component is None:
        return None, None
    try:
        return component, convert(with_secret_names(client.parameters, "", {}), component.parameters_type)
    except ValidationError:
        return None, None
