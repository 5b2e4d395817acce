"""Host: whom a run of a template works for. APIs read it and leave what they want done in it.

    corridor --makes--> Host --run.host--> APIs (`Native` functions, the same for all runs)
                         |                     |
                         |   asks, cookies,    |
                         +-- answer, requests -+--> the corridor carries them out

An API does nothing itself: what must be sent and answered is an `Ask`, and whoever runs the template
settles it. So templates stay as pure as components: no I/O, no clock, no chance but the request's.
SPEC: sandbox-api 1, 2; design (Rules of the house).
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from msgspec import Struct, field

from sgtm._fast.sandbox_values import Run
from sgtm.event import Event
from sgtm.messages import Cookie, EventData, IncomingRequest, OutgoingRequest, VendorAnswer
from sgtm.templates.permissions import Permissions


class Failed(Struct, frozen=True):
    """No answer came: `reason` names the kind, for example `timed_out`; nothing of the request."""

    reason: str


class Ask(Struct, frozen=True):
    """A request whose answer the run goes on with."""

    request: OutgoingRequest
    timeout_s: float
    done: Callable[[VendorAnswer | Failed], None]
    """Settles what the template waits for; the run's jobs are drained afterwards."""


class Storage(Protocol):
    """`templateDataStorage` of one template: shared by its runs in one worker, bounded."""

    def get(self, key: str) -> Any:
        """The value, not copied; UNSET where there is none."""

    def set(self, key: str, value: Any) -> None:
        """Keep it (the caller has copied it). Raises LimitError beyond the bounds."""

    def remove(self, key: str) -> None:
        """Forget one."""

    def clear(self) -> None:
        """Forget all."""


class ContainerFacts(Struct, frozen=True):
    """What `getContainerVersion` tells."""

    container_id: str
    version: str
    is_debug: bool = False
    is_preview: bool = False
    environment_name: str = ""


class RunContainer(Struct, frozen=True):
    """An event that a client hands over, and what it wants to hear."""

    data: EventData
    on_complete: Callable[[], None] | None
    """Called when the tags have ended (`runContainer`'s second argument)."""
    on_start: Callable[[], None] | None
    """Called when the event is about to run (its third)."""


class Response(Struct):
    """What the APIs of 1.2 have said so far; effective until `is_returned`."""

    status: int = 0
    """0: nobody said."""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: str | bytes = b""
    cookies: list[Cookie] = field(default_factory=list)
    is_returned: bool = False


class Host(Struct):
    """One run's surroundings. `kind` says which of the fields have a meaning."""

    kind: Literal["client", "tag", "variable"]
    name: str
    """Of the client, tag or variable in the container, for errors."""
    permissions: Permissions
    request: IncomingRequest
    container: ContainerFacts
    storage: Storage
    client_name: str = ""
    event: Event | None = None
    """Tags and variables: the event as it is for who asks."""
    mpv: Mapping[str, Any] = field(default_factory=dict)
    """Clients: what `isRequestMpv2` found out, so that it is parsed once."""

    # what the run wants done
    response: Response = field(default_factory=Response)
    is_claimed: bool = False
    events: list[RunContainer] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    """New ones: whoever runs the template takes them out and settles each."""
    requests: list[OutgoingRequest] = field(default_factory=list)
    """Nobody waits for their answers: they go through the lanes."""
    pixels: list[str] = field(default_factory=list)
    succeeded: bool | None = None
    """Tags: `gtmOnSuccess` (True) or `gtmOnFailure` (False) was called; the first call counts."""
    event_callbacks: list[Callable[[str, dict[str, Any]], None]] = field(default_factory=list)
    """`addEventCallback`: called once the event's tags have ended."""
    listeners: dict[str, list[Callable[[str, Any], None]]] = field(default_factory=dict)
    """`addMessageListener`: one table for all runs of a request."""
    log: list[str] = field(default_factory=list)
    """Lines of `logToConsole`."""

    def ask(
        self, request: OutgoingRequest, timeout_s: float, done: Callable[[VendorAnswer | Failed], None]
    ) -> None:
        """Have a request sent; `done` gets what came of it."""
        self.asks.append(Ask(request, timeout_s, done))


def host_of(run: Run) -> Host:
    """The host of a run that has one."""
    host: Host = run.host
    return host
