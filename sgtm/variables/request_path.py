"""Request Path: the path that the HTTP request was sent to.

The path of the page is another thing: it stands in the event data (`page_location`, `{{Page Path}}`).
"""

from msgspec import Struct

from sgtm.component import variable
from sgtm.event import Event


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """None."""


@variable("request_path", aliases=("rp",))
def resolve(event: Event, parameters: Parameters) -> str:
    """The path as on the wire, without the query, beginning with `/`.

    SPEC: sandbox-api 1.1 (getRequestPath)."""
    return event.request.path
