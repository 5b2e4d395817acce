"""Host: whom a run of a template works for. APIs read it and leave what they want done in it.

    corridor --makes--> Host --run.host--> APIs (`Native` functions, the same for all runs)
                         |                     |
                         |   asks, cookies,    |
                         +-- answer, requests -+--> the corridor carries them out

An API does nothing itself: what must be sent and answered is an `Ask`, and whoever runs the template
settles it. Every function that an API hands out (`Ask.done`, `on_start`, callbacks) only leaves a job in the
run and never raises: drain the run after calling it. So templates stay as pure as components: no I/O, no
clock, no chance but the request's.
SPEC: sandbox-api 1, 2; design (Rules of the house).
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from msgspec import Struct, field

from sgtm._fast.sandbox_values import LimitError, Run
from sgtm.event import Event
from sgtm.messages import Ask, Cookie, EventData, Failed, IncomingRequest, OutgoingRequest, VendorAnswer
from sgtm.templates.permissions import Permissions

__all__ = [
    "Ask",
    "ContainerFacts",
    "Failed",
    "Host",
    "Response",
    "RunContainer",
    "Storage",
    "host_of",
]


class Storage(Protocol):
    """`templateDataStorage` of one template: shared by its runs in one worker, bounded
    (`apis.storage.TemplateStorage` is one)."""

    def get(self, key: str) -> Any:
        """The value, not copied; UNSET where there is none."""

    def set(self, key: str, value: Any, size: int) -> None:
        """Keep it (the caller has copied it); `size` is that of its JSON. Raises LimitError beyond the
        bounds."""

    def remove(self, key: str) -> None:
        """Forget one."""

    def clear(self) -> None:
        """Forget all."""


EventCallback = Callable[[str, dict[str, Any]], None]
"""Is told the container's id and `{"tags": [{"id", "status", "executionTime", ...}]}`."""


class ContainerFacts(Struct, frozen=True):
    """What `getContainerVersion` tells."""

    container_id: str
    version: str
    is_debug: bool = False
    is_preview: bool = False
    environment_name: str = ""


class RunContainer(Struct):
    """An event that a client hands over, and what it wants to hear."""

    data: EventData
    on_complete: Callable[[], None] | None
    """Called when the tags have ended (`runContainer`'s second argument)."""
    on_start: Callable[[], None] | None
    """Called when the event is about to run (its third)."""
    callbacks: list[EventCallback] = field(default_factory=list)
    """Called after `on_complete`, as `Host.event_callbacks` of a tag are: what `on_start` and `on_complete`
    have bound to this event."""


class Services(Struct, frozen=True):
    """What the process knows of Google's services and of keys (settings.py); names of secrets, no values."""

    project: str = ""
    """Google Cloud project where a template names none (`GOOGLE_CLOUD_PROJECT`)."""
    service_account: str = ""
    """Name of the credential that holds its key file; empty: nothing is shown, as an emulator wants it."""
    firestore: str = "https://firestore.googleapis.com"
    bigquery: str = "https://bigquery.googleapis.com"
    analytics: str = "https://www.google-analytics.com"
    scripts: str = "https://www.googletagmanager.com"
    private_key: Callable[[str], bytes | None] = lambda key_id: None
    """The key of `hmacSha256` with this id; None where there is none."""


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
    services: Services = Services()
    client_name: str = ""
    event: Event | None = None
    """Tags and variables: the event as it is for who asks."""
    mpv: Mapping[str, Any] = field(default_factory=dict)
    """Clients: what `isRequestMpv2` found out, so that it is parsed once."""
    has_returned: bool = False
    """Set when the script's own code has ended: from here on only callbacks and reactions run."""
    http_calls: int = 50
    """Requests that the run may send (SPEC: reliability 4.2)."""
    log_lines: int = 100
    """Lines that it may write."""
    counts: dict[str, int] = field(default_factory=dict)
    """What it has used so far; see `count`."""
    transactions: dict[str, list[tuple[str, dict[str, Any]]]] = field(default_factory=dict)
    """Writes (path, write) of each transaction of Firestore that is under way, by its id."""

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
    event_callbacks: list[EventCallback] = field(default_factory=list)
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

    def count(self, what: str) -> int:
        """How often this was called with `what` before."""
        number = self.counts.get(what, 0)
        self.counts[what] = number + 1
        return number

    def say(self, line: str) -> None:
        """Write a line to the console. Raises LimitError beyond `log_lines`."""
        if len(self.log) >= self.log_lines:
            raise LimitError("log_lines", f"the run writes more than {self.log_lines} lines")
        self.log.append(line)


def host_of(run: Run) -> Host:
    """The host of a run that has one."""
    host: Host = run.host
    return host
