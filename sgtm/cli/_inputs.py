"""What people write as input of a container: a hit, a request, an event.

A hit is the short form, as copied from a browser's network tab: a URL, or `METHOD target`.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from sgtm.clients.webhook import ACCEPTED
from sgtm.demo import hits as recorded
from sgtm.dry_run import PLAIN_REQUEST
from sgtm.errors import SettingsError
from sgtm.messages import IncomingRequest
from sgtm.server.proxy import TrustedProxies


class RequestInput(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A request, as a server would see it behind its trusted proxies."""

    target: Annotated[str, Meta(pattern="^/", description="Path and query.")] = "/"
    method: Annotated[str, Meta(pattern="^[A-Z]+$")] = "GET"
    headers: dict[str, str | list[str]] = {}
    body: Annotated[Any, Meta(description="A text, or what becomes JSON.")] = ""
    host: str = PLAIN_REQUEST.host
    scheme: str = PLAIN_REQUEST.scheme
    remote_address: str = PLAIN_REQUEST.remote_address
    received: Annotated[datetime, Meta(tz=True)] | None = None
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 1

    def request(self, received_micros: int = PLAIN_REQUEST.received_micros) -> IncomingRequest:
        """The struct that clients see. `received_micros` counts where `received` is not said."""
        path, _, query = self.target.partition("?")
        body = self.body if isinstance(self.body, str) else msgspec.json.encode(self.body).decode()
        if self.received is not None:
            received_micros = int(self.received.timestamp() * 1_000_000)
        return replace(
            PLAIN_REQUEST,
            method=self.method,
            path=path,
            query=query.encode(),
            headers=tuple(_pairs(self.headers)),
            body=body.encode(),
            host=self.host.lower(),
            scheme=self.scheme,
            remote_address=self.remote_address,
            received_micros=received_micros,
            seed=self.seed,
        )


class EventInput(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An event, as the client of this name would have made it."""

    name: str
    client: str = ""
    data: dict[str, Any] = {}


def read_hit(text: str, headers: Mapping[str, str] = {}, body: str = "") -> RequestInput:
    """The request of a hit: `https://sst.shop.example/g/collect?v=2&...`, `/g/collect?...`, or either with
    the method before it. Raises SettingsError."""
    words = text.split()
    method = words.pop(0) if len(words) > 1 else ("POST" if body else "GET")
    parts = urlsplit(words[0]) if len(words) == 1 and method.isupper() and method.isascii() else None
    if parts is None or not (parts.path.startswith("/") or (parts.netloc and not parts.path)):
        raise SettingsError(
            f"{text[:80]!r} is no hit",
            where="--hit",
            mend="write a URL, a path with its query, or METHOD and one of these",
        )
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    plain = RequestInput(target=target, method=method, headers=dict(headers), body=body)
    return replace(plain, host=parts.hostname or "", scheme=parts.scheme) if parts.netloc else plain


def read_recorded(path: Path, received_micros: int) -> IncomingRequest:
    """The request of an `.http` file (see `sgtm/demo/hits.py`), as a server behind the recording's proxy
    would have seen it. Raises SettingsError."""
    try:
        hit = recorded.read_hit(path)
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise SettingsError(reason, where=str(path), mend="give the path of an .http file") from None
    except ValueError:
        mend = "line 1: `# what it is`; line 2: `METHOD target HTTP/1.1`; headers; an empty line; the body"
        raise SettingsError("is no recorded request", where=str(path), mend=mend) from None
    headers = tuple((name.lower().encode(), value.encode()) for name, value in hit.headers)
    requester = TrustedProxies((_RECORDER,), "x-forwarded").requester("127.0.0.1", headers, "https")
    target, _, query = hit.target.partition("?")
    return replace(
        PLAIN_REQUEST,
        method=hit.method,
        path=target,
        query=query.encode(),
        headers=headers,
        body=hit.body,
        host=requester.host,
        scheme=requester.scheme,
        remote_address=requester.remote_address,
        received_micros=received_micros,
    )


def read_header(text: str) -> tuple[str, str]:
    """`Name: value` of a flag `--header`. Raises SettingsError."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise SettingsError(f"{name[:40]!r} is no header", where="--header", mend="write 'Name: value'")
    return name.strip(), value.strip()


def as_verified(request: IncomingRequest) -> IncomingRequest:
    """The request, its sender known: what a webhook client would check of it counts as right."""
    return replace(request, verdict=ACCEPTED)


_RECORDER = "127.0.0.0/8"


def _pairs(headers: Mapping[str, str | list[str]]) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower().encode(), value.encode())
        for name, values in headers.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
