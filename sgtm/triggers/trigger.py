"""Triggers: which events fire the tags that name them.

A trigger looks at the event name first, so the container keeps its tags by event name and a hit
looks at nothing else; then all its conditions must hold. Names are compared exactly, case matters
(as in Google's Custom Event trigger with *equals*).
"""

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from sgtm.triggers.condition import Condition

ALL_EVENTS = "All Events"
"""Name of the built-in trigger that fires on every event; it needs no declaration."""

Name = Annotated[str, Meta(min_length=1, description="What tags call this trigger in `firing_triggers`.")]
Conditions = Annotated[tuple[Condition, ...], Meta(description="All of them must hold.")]


class AllEvents(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="all_events"):
    """Fires on every event for which all its conditions hold."""

    name: Name
    conditions: Conditions = ()


class CustomEvent(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="custom_event"):
    """Fires on events with one of these names for which all its conditions hold."""

    name: Name
    event_names: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(min_length=1, description="Event names, compared exactly: `purchase` is not `Purchase`."),
    ]
    conditions: Conditions = ()


Trigger: TypeAlias = AllEvents | CustomEvent


def event_names(trigger: Trigger) -> frozenset[str] | None:
    """Event names that can fire it; None: every event can."""
    return frozenset(trigger.event_names) if isinstance(trigger, CustomEvent) else None
