"""The event: getAllEventData, getEventData (SPEC: sandbox-api 1.3)."""

from sgtm._fast.sandbox_apis import GetAllEventData, GetEventData
from sgtm.event import read_key_path
from sgtm.templates.apis.declaration import declare
from sgtm.templates.apis.guard import demand

declare(
    GetAllEventData("getAllEventData", demand),
    "A copy of the event's data, which the template may change.",
    "read_event_data",
)
declare(
    GetEventData("getEventData", demand, read_key_path),
    "A copy of what stands at a key path, as `items.0.price`; undefined where there is nothing.",
    "read_event_data",
)
