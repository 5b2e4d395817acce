"""Events that stand in a query string alone: of pixels and of links."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from sgtm.event import set_value, to_number
from sgtm.messages import EventData, IncomingRequest

Names = Annotated[
    dict[str, Annotated[str, Meta(min_length=1)]],
    Meta(
        description="Query parameters -> key paths of the event. Others keep their names, unless "
        "`only_listed`.",
        examples=[{"e": "event_name", "c": "campaign_id", "m": "user_data.sha256_email_address"}],
    ),
]
OnlyListed = Annotated[bool, Meta(description="Leave out parameters that `names` does not list.")]
Numbers = Annotated[
    tuple[str, ...],
    Meta(description="Parameters whose value is a number; what is none stays text.", examples=[["v"]]),
]

_CONSENT = {"gcs": "x-ga-gcs", "gcd": "x-ga-gcd"}
"""What Google's tags add to an address that they know nothing else of (SPEC: ga4-protocol 7)."""


def event_of_query(
    query: Mapping[str, str], names: Mapping[str, str], numbers: tuple[str, ...], *, only_listed: bool
) -> EventData:
    """Event data of a query string. What stands in `names` wins over a parameter of that very name; keys
    that only this server writes (`x-...`) come from `names` and consent parameters alone."""
    data: EventData = {}
    if not only_listed:
        data = {
            name: _value(name, value, numbers)
            for name, value in query.items()
            if name not in names and name not in _CONSENT and not name.startswith("x-")
        }
    for name, key_path in (_CONSENT | dict(names)).items():
        if name in query:
            data = set_value(data, key_path, _value(name, query[name], numbers))
    return data


def _value(name: str, text: str, numbers: tuple[str, ...]) -> str | int | float:
    number = to_number(text) if name in numbers else None
    return text if number is None else number


def add_request_data(data: EventData, request: IncomingRequest) -> None:
    """Address and user agent of the request, and the page that it came from, where the event has none."""
    found = {
        "ip_override": request.remote_address,
        "user_agent": request.header(b"user-agent"),
        "page_location": request.header(b"referer"),
    }
    data |= {key: value for key, value in found.items() if value and not data.get(key)}
