"""Triggers: on which event names they fire."""

import msgspec
import pytest

from sgtm.triggers.trigger import AllEvents, CustomEvent, Trigger, event_names


def test_all_events_fires_on_every_name_and_a_custom_event_on_its_own():
    assert event_names(AllEvents("Every")) is None
    assert event_names(CustomEvent("Sales", ("purchase", "refund"))) == {"purchase", "refund"}


def test_the_type_says_which_trigger_it_is():
    written = {"type": "custom_event", "name": "Sales", "event_names": ["purchase"]}
    assert msgspec.convert(written, Trigger) == CustomEvent("Sales", ("purchase",))
    assert msgspec.convert({"type": "all_events", "name": "Every"}, Trigger) == AllEvents("Every")


@pytest.mark.parametrize(
    "written",
    [
        {"type": "custom_event", "name": "Sales"},
        {"type": "custom_event", "name": "Sales", "event_names": []},
        {"type": "custom_event", "name": "Sales", "event_names": [""]},
        {"type": "all_events", "name": "Every", "event_names": ["purchase"]},
        {"type": "all_events", "name": ""},
    ],
)
def test_a_trigger_that_could_never_be_meant_is_refused(written):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(written, Trigger)
