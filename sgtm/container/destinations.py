"""Where a container sends: the hosts and ports that it names, and those fixed in its tags' code."""

from collections.abc import Iterator
from typing import Any

from sgtm.component import Kind
from sgtm.container.model import ContainerVersion
from sgtm.container.templates import Templates
from sgtm.delivery.errors import Refused
from sgtm.delivery.request_writer import origin_of


def destinations_of(model: ContainerVersion, templates: Templates) -> frozenset[tuple[str, int]]:
    """(host, port) of every URL that a tag or variable has as a text, and of their types' own.

    What only the event or the process's environment says is not among them."""
    tags = [tag for tag in model.tags if not tag.is_paused]
    found = {(host, 443) for tag in tags for host in _fixed(templates, "tag", tag.type)}
    found |= {
        (host, 443) for variable in model.variables for host in _fixed(templates, "variable", variable.type)
    }
    written = [*(tag.parameters for tag in tags), *(variable.parameters for variable in model.variables)]
    for parameters in written:
        for text in _texts(parameters):
            try:
                found.add(origin_of(text.strip())[1:])
            except Refused:  # no URL
                continue
    return frozenset(found)


def _fixed(templates: Templates, kind: Kind, type_: str) -> tuple[str, ...]:
    component = templates.find(kind, type_)
    return () if component is None else component.hosts


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
