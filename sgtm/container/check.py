"""All that is wrong with a container, at once: each problem says what, where, and how to mend it.

Errors stop `serve`, warnings do not. What cannot even be read was reported by the front door; here
stands what a container means and should not: unknown names, parameters that do not fit, silence
about consent, clients that nobody can reach.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from msgspec import ValidationError, convert
from msgspec.structs import asdict

from sgtm.component import Component, Kind, components, find
from sgtm.container.built_in import BUILT_IN_VARIABLES
from sgtm.container.container import Hosts
from sgtm.container.document import Path
from sgtm.container.environment import with_secret_names
from sgtm.container.fields import read_fields
from sgtm.container.model import Client, Tag, Variable, by_priority
from sgtm.container.native import Reading, read_container, read_source
from sgtm.container.references import REFERENCE, references_in, references_of
from sgtm.container.report import KINDS, listed
from sgtm.errors import ContainerError, Problem
from sgtm.triggers.trigger import ALL_EVENTS, event_names

_COMPONENTS: dict[str, Kind] = {"clients": "client", "variables": "variable", "tags": "tag"}
_ORIGIN = re.compile(r"https?://(\*\.)?[a-z0-9\[\]:._-]+", re.IGNORECASE)
_UNSET_LINE = "unset: denied    # or granted: tags also fire on events that say nothing about consent"
_GATE_LINE = "gate: all        # or declared: only tags with `consent:` of their own are held back"


def check_container(path: str | FilePath, environment: Mapping[str, str] | None = None) -> list[Problem]:
    """All problems of a container file, from its top to its end. Never raises."""
    return judge(read_container(path, environment))


def read_sound(
    path: str | FilePath, environment: Mapping[str, str] | None = None, source: bytes | None = None
) -> Reading:
    """A container file without errors; `source` is what stands in it, if that is known already.

    Raises ContainerError with all problems if there is one."""
    if source is None:
        reading = read_container(path, environment)
    else:
        reading = read_source(source, str(path), environment)
    problems = judge(reading)
    if reading.report.has_errors:
        raise ContainerError(problems, where=str(path))
    return reading


def judge(reading: Reading) -> list[Problem]:
    """All problems of what a front door has read."""
    report = reading.report
    if isinstance(report.document.data, dict) and "exportFormatVersion" not in report.document.data:
        _Judge(reading).all()
    return report.in_line_order()


class _Judge:
    def __init__(self, reading: Reading) -> None:
        self._model = reading.model
        self._report = reading.report
        self._places = reading.places
        self._variables = {*self._declared("variables"), *BUILT_IN_VARIABLES}

    def all(self) -> None:
        self._names()
        for kind in ("clients", "variables", "tags"):
            for entity, path in self._entities(kind):
                self._component(kind, entity, path)
        self._clients()
        self._tags()
        self._references()
        self._cycles()
        self._consent()
        if not self._report.has_errors:  # else they may only follow from an error
            self._unused()

    def _entities(self, kind: str) -> Iterator[tuple[Any, Path]]:
        return zip(getattr(self._model, kind), self._places[kind], strict=True)

    def _declared(self, kind: str) -> list[str]:
        """Names of all entities of a kind, also of those that could not be read: that was reported."""
        written = self._report.document.data.get(kind)
        unread = (
            [one.get("name") for one in written if isinstance(one, dict)] if isinstance(written, list) else []
        )
        names = [entity.name for entity in getattr(self._model, kind)] + unread
        return list(dict.fromkeys(name for name in names if isinstance(name, str)))

    def _names(self) -> None:
        for kind, word in KINDS.items():
            seen: dict[str, Path] = {}
            for entity, path in self._entities(kind):
                first = seen.setdefault(entity.name, path)
                if first != path:
                    line = self._report.document.line(first)
                    what = f"another {word} has this name, in line {line}"
                    self._report.error((*path, "name"), what, "give each its own name")
        for trigger, path in self._entities("triggers"):
            if trigger.name == ALL_EVENTS and event_names(trigger) is not None:
                what = f'"{ALL_EVENTS}" is built in and fires on every event'
                self._report.error((*path, "name"), what, "give this trigger another name")
        for variable, path in self._entities("variables"):
            if REFERENCE.findall(f"{{{{{variable.name}}}}}") != [variable.name]:
                what = "no {{reference}} can reach this name"
                self._report.error((*path, "name"), what, "use no braces, and no space at its ends")

    # -- components ----------------------------------------------------------------------------

    def _component(self, kind: str, entity: Client | Variable | Tag, path: Path) -> None:
        word = _COMPONENTS[kind]
        component = find(word, entity.type)
        if component is None:
            known = [component.type for component in components(word)]
            what = f"{entity.type!r} is not a type of {word}"
            self._report.unknown(
                (*path, "type"), what, entity.type, known, otherwise=f"write one of: {listed(known)}"
            )
        else:
            self._parameters(kind, entity, component, (*path, "parameters"))

    def _parameters(
        self, kind: str, entity: Client | Variable | Tag, component: Component, path: Path
    ) -> None:
        written = with_secret_names(entity.parameters, f"{kind}.{entity.name}", {})
        no_references = "write the value itself: a client acts before there is an event"
        values = read_fields(
            component.parameters_type,
            written,
            path,
            self._report,
            no_references=no_references if kind == "clients" else "",
        )
        if values is None or values.keys() != written.keys():
            return
        if not any(references_in(written)):
            try:
                convert(written, component.parameters_type)
            except ValidationError as error:
                self._report.error(
                    path, str(error), f"see the page of the {component.kind} `{component.type}`"
                )
                return
        if component.check is not None:
            where = self._report.words(path)
            self._report.adopt(component.check(written, where), path, where)

    # -- clients -------------------------------------------------------------------------------

    def _clients(self) -> None:
        active = [(client, path) for client, path in self._entities("clients") if not client.is_paused]
        for client, path in self._entities("clients"):
            self._origins(client, path)
            self._wildcards(client, path)
        places = {client.name: path for client, path in active}
        ordered = by_priority(client for client, _ in active)
        for index, client in enumerate(ordered):
            for earlier in ordered[:index]:
                self._compare(earlier, client, places[client.name])

    def _compare(self, earlier: Client, client: Client, path: Path) -> None:
        """Two clients of which `earlier` is asked first (SPEC: requirements R52, R263, X1)."""
        if not _may_meet(earlier, client):
            return
        taken = _paths(client)
        is_for_all = not earlier.hosts or (client.hosts and _lower(client.hosts) <= _lower(earlier.hosts))
        if taken and earlier.type == client.type and taken <= _paths(earlier) and is_for_all:
            what = f'never claims: client "{earlier.name}" is of its type and is asked first for '
            what += listed(sorted(taken))
            self._report.warning(path, what, "give it other paths, or a higher priority, or remove it")
        elif earlier.priority == client.priority:
            what = f'client "{earlier.name}" has priority {client.priority} too; it is asked first'
            mend = "give each its own priority: the higher number is asked first, list order decides ties"
            self._report.warning((*path, "priority"), what, mend)

    def _origins(self, client: Client, path: Path) -> None:
        for index, origin in enumerate(client.allowed_origins):
            if not _ORIGIN.fullmatch(origin):
                mend = (
                    "write https://shop.example or https://*.shop.example; to allow any, leave the list out"
                )
                self._report.error((*path, "allowed_origins", index), f"{origin!r} is not a web origin", mend)

    def _wildcards(self, client: Client, path: Path) -> None:
        for one in sorted(_paths(client)):
            if any(mark in one for mark in "*?#"):
                what = f"{one!r} is compared exactly: no other path is like it"
                self._report.warning((*path, "parameters"), what, "write each path out, without a query")

    # -- tags ----------------------------------------------------------------------------------

    def _tags(self) -> None:
        known = [*self._declared("triggers"), ALL_EVENTS]
        for tag, path in self._entities("tags"):
            for index, name in enumerate(tag.firing_triggers):
                if name not in known:
                    self._report.unknown(
                        (*path, "firing_triggers", index),
                        f"there is no trigger {name!r}",
                        name,
                        known,
                        otherwise=f"declare it under `triggers:`; there are: {listed(known)}",
                    )

    def _consent(self) -> None:
        """Silence about consent: an error where a tag advertises (SPEC: R170, R173), a warning where
        another tag is held back by it, so that nobody leaks, or loses, by omission."""
        policy = self._model.consent
        written = self._report.document.data.get("consent")
        written = {} if written is None else written
        lines = [
            line
            for key, line in (("unset", _UNSET_LINE), ("gate", _GATE_LINE))
            # what is written and wrong was reported
            if getattr(policy, key) is None and isinstance(written, dict) and written.get(key) is None
        ]
        if not lines:
            return
        mend = "write\n    " + "\n    ".join(["consent:", *(f"  {line}" for line in lines)])
        held_back = ""
        for tag in self._model.tags:
            component = find("tag", tag.type)
            if component is None or tag.is_paused:
                continue
            if component.is_advertising:
                what = f'tag "{tag.name}" advertises, and nothing says what happens without consent'
                self._report.error(("consent",), what, mend)
                return
            if self._report.has_errors:
                continue
            if component.consent and tag.consent is None and not component.is_consent_aware:
                held_back = held_back or tag.name
        if held_back:
            what = f'silence is the strict reading, and it holds tag "{held_back}" back without consent'
            self._report.warning(("consent",), what, mend)

    # -- variables -----------------------------------------------------------------------------

    def _references(self) -> None:
        for kind in ("variables", "tags"):
            for entity, path in self._entities(kind):
                written: dict[str, Any] = {"parameters": entity.parameters}
                if isinstance(entity, Variable) and entity.format_value is not None:
                    written["format_value"] = asdict(entity.format_value)
                for place, name in _places_of_references(written, path):
                    if not name:
                        mend = "write {{Name}}, the name without braces"
                        self._report.error(place, "a {{ begins no {{reference}}", mend)
                    elif name not in self._variables:
                        self._report.unknown(
                            place,
                            f"there is no variable {name!r}",
                            name,
                            self._variables,
                            otherwise="declare it under `variables:`",
                        )

    def _cycles(self) -> None:
        """Variables that refer to each other in a circle (SPEC: sandbox-api 5.10.4, A13)."""
        refers_to = {variable.name: set(references_of(variable)) for variable in self._model.variables}
        known: set[frozenset[str]] = set()
        for variable, path in self._entities("variables"):
            circle = _circle(variable.name, refers_to)
            if circle and frozenset(circle) not in known:
                known.add(frozenset(circle))
                what = f"refers to itself: {' -> '.join(circle)}"
                self._report.error((*path, "parameters"), what, "break the circle: it would be undefined")

    def _unused(self) -> None:
        """Declared, and named nowhere; tags that nothing fires."""
        for tag, path in self._entities("tags"):
            if not tag.firing_triggers:
                mend = f'write `firing_triggers: ["{ALL_EVENTS}"]`, or name triggers of `triggers:`'
                self._report.warning(path, "has no trigger, so it never fires", mend)
        if all(client.is_paused for client in self._model.clients):
            mend = "write `clients:` with at least one, for example of type ga4"
            self._report.warning((), "there is no client, so no request is ever claimed", mend)
        used = {name for variable in self._model.variables for name in references_of(variable)}
        used |= {name for tag in self._model.tags for name in references_in(tag.parameters)}
        for variable, path in self._entities("variables"):
            if variable.name not in used:
                mend = f"remove it, or write {{{{{variable.name}}}}} where it belongs"
                self._report.warning(path, "is used nowhere", mend)
        fired = {name for tag in self._model.tags for name in tag.firing_triggers}
        for trigger, path in self._entities("triggers"):
            if trigger.name not in fired:
                self._report.warning(
                    path, "fires no tag", "name it in `firing_triggers:` of a tag, or remove it"
                )


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
    component = find("client", client.type)
    if component is None or component.paths is None:
        return set()
    try:
        parameters: Any = convert(with_secret_names(client.parameters, "", {}), component.parameters_type)
    except ValidationError:
        return set()
    return set(component.paths(parameters))


def _places_of_references(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Each reference, and "" for a `{{` that begins none."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _places_of_references(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _places_of_references(item, (*path, index))
    else:
        names = list(references_in(value))
        yield from ((path, name) for name in names)
        if isinstance(value, str) and value.count("{{") > len(names):
            yield path, ""


def _circle(start: str, refers_to: dict[str, set[str]]) -> list[str]:
    """A way from `start` back to `start`, or empty."""
    ways: dict[str, list[str]] = {start: [start]}
    queue = [start]
    for name in queue:
        for other in sorted(refers_to.get(name, ())):
            if other == start:
                return [*ways[name], start]
            if other not in ways:
                ways[other] = [*ways[name], other]
                queue.append(other)
    return []
