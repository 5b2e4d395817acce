"""What differs between two containers, by meaning: of either form, whatever their files look like.

Entities are matched by kind and name. What is not written counts as its default, an alias as the type
that it stands for, and `${NAME}` as itself: no environment is read. Secrets are masked on both sides.
"""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct

from sgtm.component import Kind, find
from sgtm.container.document import Path
from sgtm.container.fields import fields_of
from sgtm.container.google.secrets import find_secrets, is_secret
from sgtm.container.model import ContainerVersion, by_priority
from sgtm.event import undefined

LISTS: dict[str, Kind | None] = {
    "clients": "client",
    "variables": "variable",
    "preparations": "transformation",
    "triggers": None,
    "transformations": "transformation",
    "tags": "tag",
    "custom_templates": None,
}
ORDERED = ("clients", "preparations", "transformations", "tags")
MASK = "(secret)"
_LONGEST = 200


class FieldChange(Struct, frozen=True, omit_defaults=True):
    """One field; `before` or `after` is absent where it is not there."""

    field: str
    before: Any = msgspec.UNSET
    after: Any = msgspec.UNSET


class Change(Struct, frozen=True, omit_defaults=True):
    """What happened to one entity, or to the container itself (kind `container`)."""

    kind: str
    name: str
    change: Literal["added", "removed", "changed"]
    fields: tuple[FieldChange, ...] = ()


class Names(dict[str, str]):
    """An environment in which every variable is set, to its own name: `${NAME}` stays what it is."""

    def get(self, name: str, default: Any = None) -> Any:
        """`${NAME}`."""
        return f"${{{name}}}"


def diff(before: ContainerVersion, after: ContainerVersion) -> list[Change]:
    """All differences: the container itself first, then each kind, by name."""
    changes = []
    sides = [msgspec.to_builtins(side) for side in (before, after)]
    known = frozenset(secret.value for side in sides for secret in find_secrets(side))
    fields = tuple(_fields(_settings(before), _settings(after), (), known))
    if fields:
        changes.append(Change("container", "", "changed", fields))
    for kind, component in LISTS.items():
        changes += _entities(kind, component, getattr(before, kind), getattr(after, kind), known)
    return changes


def _settings(model: ContainerVersion) -> dict[str, Any]:
    """What the container says beside its lists."""
    settings: dict[str, Any] = msgspec.to_builtins(model)
    return {key: value for key, value in settings.items() if key not in LISTS}


def _entities(
    kind: str,
    component: Kind | None,
    before: tuple[Any, ...],
    after: tuple[Any, ...],
    known: frozenset[str],
) -> Iterator[Change]:
    old, new = ({one.name: _meaning(one, component) for one in side} for side in (before, after))
    for name in dict.fromkeys((*old, *new)):
        if name not in new or name not in old:
            yield Change(kind, name, "removed" if name in old else "added")
        elif fields := tuple(_fields(old[name], new[name], (), known, name)):
            yield Change(kind, name, "changed", fields)
    if kind in ORDERED:
        common = old.keys() & new.keys()
        orders = [[one.name for one in _in_order(side) if one.name in common] for side in (before, after)]
        if orders[0] != orders[1]:
            change = FieldChange("order", ", ".join(orders[0]), ", ".join(orders[1]))
            yield Change(kind, "", "changed", (change,))


def _in_order(entities: tuple[Any, ...]) -> list[Any]:
    has_priority = all("priority" in one.__struct_fields__ for one in entities)
    return by_priority(entities) if has_priority else list(entities)


def _meaning(entity: Any, kind: Kind | None) -> dict[str, Any]:
    """An entity as plain values, without what only repeats a default."""
    meaning: dict[str, Any] = msgspec.to_builtins(entity)
    component = find(kind, entity.type) if kind is not None else None
    if component is not None:
        defaults = {field.name: field.default for field in fields_of(component.parameters_type)}
        meaning["type"] = component.type
        meaning["parameters"] = {
            key: value
            for key, value in meaning["parameters"].items()
            if key not in defaults or value != msgspec.to_builtins(defaults[key])
        }
    return meaning


def _fields(
    before: Any, after: Any, path: Path, known: frozenset[str], owner: str = ""
) -> Iterator[FieldChange]:
    """`known`: secrets of both sides, wherever they stand."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            inside = before.get(key, undefined), after.get(key, undefined)
            yield from _fields(*inside, (*path, key), known, owner)
    elif isinstance(before, (list, tuple)) and isinstance(after, (list, tuple)) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from _fields(*pair, (*path, index), known, owner)
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        field = ".".join(str(step) for step in path)
        label = owner if path[-1] == "value" else str(path[-1])
        yield FieldChange(field, _shown(before, label, known), _shown(after, label, known))


def _shown(value: Any, label: str, known: frozenset[str]) -> Any:
    """A value for a person: secrets masked, long texts cut."""
    if isinstance(value, dict):
        return {
            key: _shown(item, label if key == "value" else str(key), known) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_shown(item, label, known) for item in value]
    if not isinstance(value, str):
        return value
    if is_secret(value, label) or any(secret in value for secret in known):
        return MASK
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}... ({len(value)} characters)"
