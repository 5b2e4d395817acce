"""Built-in variables: usable in `{{ }}` without declaring them, under Google's display names.

A variable of the container with the same name wins (SPEC: sandbox-api 5.10.3.1).
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from sgtm.container.container import View
from sgtm.event import undefined
from sgtm.variables import visitor_region


def _event_data(key_path: str) -> Callable[[View], Any]:
    return lambda view: view.event.get(key_path)


def _page(part: str) -> Callable[[View], Any]:
    """A part of `page_location`: Google derives it (SPEC: ga4-protocol 5, below the list of keys)."""

    def read(view: View) -> Any:
        location = view.event.text("page_location")
        if location is None:
            return undefined
        try:
            value = getattr(urlsplit(location), part)
        except ValueError:
            return undefined
        return value if value is not None else undefined

    return read


def _random_number(view: View) -> int:
    """0 to 2147483647, the same again when the event is run again."""
    return int.from_bytes(view.event.chance("Random Number", 4), "big") >> 1


def _visitor_region(view: View) -> Any:
    return visitor_region.resolve(view.event, visitor_region.Parameters())


BUILT_IN_VARIABLES: dict[str, tuple[str, Callable[[View], Any]]] = {
    "Client ID": ("`client_id` of the event", _event_data("client_id")),
    "Client Name": ("name of the client that claimed the request", lambda view: view.event.client_name),
    "Container ID": (
        "public id of the container, `GTM-XXXX`",
        lambda view: view.container.public_id or undefined,
    ),
    "Container Version": (
        "`version_name` of the container, or the hash of its file",
        lambda view: view.container.version_name or view.container.version,
    ),
    "Debug Mode": ("whether the version is only previewed", lambda view: view.container.is_preview),
    "Environment Name": ("environment of the container", lambda view: view.container.environment_name),
    "Event Name": ("name of the event", lambda view: view.event.name),
    "IP Address": ("`ip_override` of the event", _event_data("ip_override")),
    "Page Hostname": ("host of `page_location`", _page("hostname")),
    "Page Path": ("path of `page_location`", _page("path")),
    "Page Referrer": ("`page_referrer` of the event", _event_data("page_referrer")),
    "Page URL": ("`page_location` of the event", _event_data("page_location")),
    "Query String": (
        "query of the request, without `?`",
        lambda view: view.event.request.query.decode("utf-8", "replace"),
    ),
    "Random Number": ("whole number from 0 to 2147483647, drawn for each event", _random_number),
    "Request Method": ("method of the request", lambda view: view.event.request.method),
    "Request Path": ("path of the request", lambda view: view.event.request.path),
    "User Agent": ("`user_agent` of the event", _event_data("user_agent")),
    "Visitor Region": ("country and region of the visitor, `US-CA`", _visitor_region),
}
"""Name -> (what it is, how to read it from a view)."""
