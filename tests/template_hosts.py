"""Run a few lines of a template for a host, and answer what it asks."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from sgtm._fast.sandbox_values import Run, SandboxError
from sgtm.event import make_event
from sgtm.messages import IncomingRequest, VendorAnswer
from sgtm.templates.apis import table_for
from sgtm.templates.apis.storage import TemplateStorage
from sgtm.templates.host import Ask, ContainerFacts, Failed, Host
from sgtm.templates.permissions import Permission, Permissions
from sgtm.templates.script import Limits, Script, require_of

REQUEST = IncomingRequest(
    method="POST",
    path="/data",
    query=b"a=1&b=x%20y&a=2&empty=",
    headers=(
        (b"host", b"sst.shop.example"),
        (b"cookie", b"_ga=GA1.1.5.6; dup=one; dup=tw%C3%B6"),
        (b"x-list", b"1"),
        (b"x-list", b"2"),
    ),
    body=b'{"n": 1}',
    remote_address="203.0.113.7",
    is_peer_trusted=False,
    scheme="https",
    host="sst.shop.example",
    received_micros=1_700_000_000_123_456,
    seed=42,
)
EVENT = {
    "event_name": "purchase",
    "value": 12.5,
    "items": [{"price": 3}],
    "user_data": {"email": "a@b.example"},
}
EVERYTHING: dict[str, Any] = {
    "read_request": {"requestAccess": "any"},
    "access_response": {"writeResponseAccess": "any"},
    "read_event_data": {"eventDataAccess": "any"},
    "get_cookies": {"cookieAccess": "any"},
    "set_cookies": {"allowedCookies": [{"name": "*", "domain": "*", "path": "*"}]},
    "send_http": {"allowedUrls": "any"},
    "send_pixel_from_browser": {"allowedUrls": "any"},
    "use_message": {"allowedActions": "any"},
    "use_google_credentials": {
        "allowedScopes": [
            "https://www.googleapis.com/auth/datastore",
            "https://www.googleapis.com/auth/bigquery",
        ]
    },
    "access_firestore": {"allowedOptions": [{"projectId": "*", "path": "*", "operation": "read_write"}]},
    "access_bigquery": {
        "allowedTables": [{"projectId": "*", "datasetId": "*", "tableId": "*", "operation": "write"}]
    },
    "use_custom_private_keys": {"keyIds": ["key1"]},
    **{
        name: {}
        for name in (
            *("logging", "read_container_data", "read_event_metadata", "run_container"),
            *("return_response", "access_template_storage"),
        )
    },
}
"""Every permission there is, each without bounds."""


def permissions(granted: Mapping[str, Any]) -> Permissions:
    """Permissions from their parameters."""
    return Permissions({name: [Permission(name, parameters)] for name, parameters in granted.items()})


def host_for(
    kind: str = "tag", granted: Mapping[str, Any] = EVERYTHING, data: Any = EVENT, **changes: Any
) -> Host:
    """The host of one run of a template called `T`."""
    request = changes.pop("request", REQUEST)
    return Host(
        kind=kind,
        name="T",
        permissions=permissions(granted),
        request=request,
        container=changes.pop("container", ContainerFacts("GTM-TEST", "7")),
        storage=changes.pop("storage", TemplateStorage()),
        client_name=changes.pop("client_name", "GA4"),
        event=None if kind == "client" else make_event(data, request, "GA4", 0),
        **changes,
    )


class Ran:
    """A run, what its code returned, and its host."""

    def __init__(self, source: str, host: Host | None = None, limits: Limits | None = None) -> None:
        """Raises TemplateError."""
        self.host = host or host_for()
        self.run: Run = (limits or Limits()).start()
        self.run.host = self.host
        self._script = Script(source)
        self.value: Any = None
        self._do(self._call)

    def _call(self) -> None:
        table = table_for(self.host.kind)
        try:
            self.value = self._script.call(self.run, require_of(table), {})
        finally:
            self.host.has_returned = True

    def _do(self, step: Any) -> None:
        try:
            step()
            self.run.drain()
        except SandboxError as error:
            raise self._script.explained(error, self.run) from None

    def after(self, step: Any) -> None:
        """What the corridor does when it calls something that an API left: then the jobs run."""
        self._do(step)

    def take(self) -> Ask:
        """The next request that waits for an answer."""
        return self.host.asks.pop(0)

    def answer(self, status: int = 200, body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()) -> Ask:
        """Answer it."""
        ask = self.take()
        self._do(lambda: ask.done(VendorAnswer(status, headers, body)))
        return ask

    def fail(self, reason: str) -> None:
        """No answer comes."""
        ask = self.take()
        self._do(lambda: ask.done(Failed(reason)))


def value_of(source: str, host: Host | None = None) -> Any:
    """What a script returns."""
    return Ran(source, host).value


def with_request(**changes: Any) -> IncomingRequest:
    """The request with other parts."""
    return replace(REQUEST, **changes)
