"""The event: getAllEventData, getEventData (SPEC: sandbox-api 1.3)."""

from typing import Any

from msgspec import UNSET

from sgtm._fast.sandbox_border import engine_value
from sgtm._fast.sandbox_convert import to_text
from sgtm._fast.sandbox_values import Run
from sgtm.event import read_key_path
from sgtm.templates.apis.declaration import api
from sgtm.templates.apis.guard import demand
from sgtm.templates.arguments import Arguments, argument
from sgtm.templates.host import host_of


@api("getAllEventData", "read_event_data")
def get_all_event_data(run: Run, args: Arguments) -> Any:
    """A copy of the event's data, which the template may change."""
    demand(run, "getAllEventData", "read_event_data", shown="all event data")
    event = host_of(run).event
    return UNSET if event is None else engine_value(run, event.data)


@api("getEventData", "read_event_data")
def get_event_data(run: Run, args: Arguments) -> Any:
    """A copy of what stands at a key path, as `items.0.price`; undefined where there is nothing."""
    path = to_text(run, argument(args, 0))
    demand(run, "getEventData", "read_event_data", path, shown=path)
    event = host_of(run).event
    run.charge(len(path) >> 2)
    return UNSET if event is None else engine_value(run, read_key_path(event.data, path[:MAX_PATH]))


MAX_PATH = 1_000
"""Characters of a key path; what a longer one names is not there."""
