"""The container: claimRequest, runContainer, getContainerVersion, getClientName, addEventCallback.

SPEC: sandbox-api 1.1, 1.3.
"""

from typing import Any

from msgspec import UNSET

from sgtm._fast.sandbox_border import engine_value, house_value
from sgtm._fast.sandbox_values import Callable, LimitError, Native, Run, ScriptError
from sgtm.event import make_event
from sgtm.templates.apis.declaration import api
from sgtm.templates.apis.guard import demand
from sgtm.templates.arguments import Arguments, argument, refused
from sgtm.templates.host import RunContainer, host_of

MAX_EVENTS = 100
"""Events that one run may hand over."""
MAX_CALLBACKS = 20


@api("claimRequest", kinds=("client",))
def claim_request(run: Run, args: Arguments) -> Any:
    """Claims the request for this client, before the client's own code has ended."""
    host = host_of(run)
    if host.has_returned:
        raise ScriptError("claimRequest must be called before the client's code ends, not in a callback")
    host.is_claimed = True
    return UNSET


@api("runContainer", "run_container", kinds=("client",), cost=10)
def run_container(run: Run, args: Arguments) -> Any:
    """Runs the container on an event; two functions hear of its end and of its beginning."""
    demand(run, "runContainer", "run_container")
    host, given = host_of(run), argument(args, 0)
    if not isinstance(given, dict):
        raise refused("runContainer", args)
    if len(host.events) >= MAX_EVENTS:
        raise LimitError("container_runs", f"the run hands over more than {MAX_EVENTS} events")
    event = RunContainer(house_value(run, given), None, None)
    event.on_complete = _told(run, event, argument(args, 1))
    event.on_start = _told(run, event, argument(args, 2))
    host.events.append(event)
    return UNSET


def _told(run: Run, event: RunContainer, callback: Any) -> Any:
    """What the corridor calls: a job of the run, which calls the template's function."""
    if not isinstance(callback, Callable):
        return None
    bind = Native("bindToEvent", lambda run, args: _bound(run, event, argument(args, 0)))
    return lambda: run.jobs.append(lambda: callback(run, bind))


def _bound(run: Run, event: RunContainer, function: Any) -> Native:
    if not isinstance(function, Callable):
        raise ScriptError("bindToEvent takes a function")

    def call(run: Run, args: Arguments) -> Any:
        host = host_of(run)
        before = host.event, host.event_callbacks
        host.event = make_event(event.data, host.request, host.client_name, 0)
        host.event_callbacks = event.callbacks
        try:
            return function(run, *args)
        finally:
            host.event, host.event_callbacks = before

    return Native(function.name, call)


@api("addEventCallback", "read_event_metadata")
def add_event_callback(run: Run, args: Arguments) -> Any:
    """Calls a function when the event's tags have ended, with what came of each."""
    demand(run, "addEventCallback", "read_event_metadata")
    host, callback = host_of(run), argument(args, 0)
    if not isinstance(callback, Callable):
        raise refused("addEventCallback", args)
    if host.event is None:
        raise ScriptError("addEventCallback must be bound to an event here: bindToEvent(addEventCallback)")
    if len(host.event_callbacks) >= MAX_CALLBACKS:
        raise LimitError("event_callbacks", f"the run adds more than {MAX_CALLBACKS} event callbacks")

    def told(container_id: str, facts: dict[str, Any]) -> None:
        run.jobs.append(lambda: callback(run, container_id, engine_value(run, facts)))

    host.event_callbacks.append(told)
    return UNSET


@api("getContainerVersion", "read_container_data")
def get_container_version(run: Run, args: Arguments) -> dict[str, Any]:
    """Id, version and environment of the container, and whether somebody previews or debugs it."""
    demand(run, "getContainerVersion", "read_container_data")
    run.make_elements(6)
    facts = host_of(run).container
    return {
        "containerId": facts.container_id,
        "version": facts.version,
        "debugMode": facts.is_debug,
        "previewMode": facts.is_preview,
        "environmentMode": bool(facts.environment_name),
        "environmentName": facts.environment_name,
    }


@api("getClientName", "read_container_data")
def get_client_name(run: Run, args: Arguments) -> str:
    """Name of the client that claimed the request."""
    demand(run, "getClientName", "read_container_data")
    host = host_of(run)
    return host.client_name or (host.name if host.kind == "client" else "")
