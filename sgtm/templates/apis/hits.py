"""Hits of Google's protocols: isRequestMpv1, isRequestMpv2, and what events they hold.

Version 1 is Universal Analytics, version 2 what gtag sends. SPEC: sandbox-api 1.1, ga4-protocol 1, 4.
"""

from typing import Any

from sgtm._fast.sandbox_border import engine_value
from sgtm._fast.sandbox_values import Run, ScriptError
from sgtm.messages import NO_REQUEST, EventData, IncomingRequest
from sgtm.protocols import gtag, universal_analytics
from sgtm.templates.apis.declaration import api
from sgtm.templates.apis.guard import demand
from sgtm.templates.arguments import Arguments
from sgtm.templates.host import host_of


def _request(run: Run, api: str) -> IncomingRequest:
    demand(run, api, "read_request", "method")
    request = host_of(run).request
    run.charge((len(request.query) + len(request.body)) >> 5)
    return request


def _events(run: Run, api: str, why: str | None, events: list[EventData]) -> Any:
    if why is not None or not events:
        raise ScriptError(f"{api}: the request is no such hit, {why or 'it holds no event'}")
    return engine_value(run, events)


@api("isRequestMpv1", "read_request")
def is_request_mpv1(run: Run, args: Arguments) -> bool:
    """Whether the request is a hit of Universal Analytics."""
    request = _request(run, "isRequestMpv1")
    return request is not NO_REQUEST and universal_analytics.why_not_a_hit(request) is None


@api("isRequestMpv2", "read_request")
def is_request_mpv2(run: Run, args: Arguments) -> bool:
    """Whether the request is a hit of gtag."""
    request = _request(run, "isRequestMpv2")
    return request is not NO_REQUEST and gtag.why_not_a_hit(request) is None


@api("extractEventsFromMpv1", "read_request", cost=20)
def extract_events_from_mpv1(run: Run, args: Arguments) -> Any:
    """Event data of each hit of Universal Analytics in the request; an error if there is none."""
    request = _request(run, "extractEventsFromMpv1")
    _charge_parsing(run, request)
    why = universal_analytics.why_not_a_hit(request)
    events = [] if why else universal_analytics.events_from_mpv1(request)
    return _events(run, "extractEventsFromMpv1", why, events)


@api("extractEventsFromMpv2", "read_request", cost=20)
def extract_events_from_mpv2(run: Run, args: Arguments) -> Any:
    """Event data of each hit of gtag in the request; an error if there is none."""
    request = _request(run, "extractEventsFromMpv2")
    _charge_parsing(run, request)
    why = gtag.why_not_a_hit(request)
    return _events(run, "extractEventsFromMpv2", why, [] if why else gtag.parse_events(request))


def _charge_parsing(run: Run, request: IncomingRequest) -> None:
    """Every event of a batch has all that stands in the query."""
    events = min(request.body.count(b"\n") + 1, _MAX_EVENTS)
    run.charge((len(request.query) * events + len(request.body)) >> 3)


_MAX_EVENTS = 100
