"""Allow parameters: only these parameters are left of an event.

Dotted names reach inside (`user_data.address.city`, `items.0.price`). Everything else is taken out,
also what Google's own tags need (`client_id`, `x-ga-measurement_id`): list it if such a tag is
affected. The event's name always stays, since nothing could be sent without it.

SPEC: sandbox-api 5.8; 5.10.4, A8.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct

from sgtm.component import transformation
from sgtm.event import Event
from sgtm.messages import EventData

_Tree = dict[str, Any]
"""Step -> the steps below it; empty: everything below."""


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """What is left."""

    names: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(description="Names of event parameters; dots reach inside.", examples=[["client_id"]]),
    ]


@transformation("allow_parameters", aliases=("tf_allow_params",))
def transform(event: Event, parameters: Parameters) -> EventData:
    """Leaves only some parameters of an event."""
    names = {"event_name", *parameters.names}
    found = {key: value for key, value in event.data.items() if key in names}
    inside: _Tree = {}
    for name in names - event.data.keys():
        _add(inside, name.split("."))
    for key, below in inside.items():
        if below and key in event.data and key not in names:
            found[key] = _picked(event.data[key], below)
    return {key: found[key] for key in event.data if key in found and found[key] is not _NOTHING}


_NOTHING = object()


def _add(tree: _Tree, steps: list[str]) -> None:
    for step in steps:
        tree = tree.setdefault(step, {})


def _picked(value: Any, tree: _Tree) -> Any:
    """What the tree leaves of a value; members of a list that it does not name are gone."""
    if not tree:
        return value
    if isinstance(value, dict):
        found = {key: _picked(value[key], below) for key, below in tree.items() if key in value}
        found = {key: found[key] for key in value if key in found and found[key] is not _NOTHING}
        return found or _NOTHING
    if isinstance(value, list):
        picked = [_picked(item, tree[str(index)]) for index, item in enumerate(value) if str(index) in tree]
        return [item for item in picked if item is not _NOTHING] or _NOTHING
    return _NOTHING
