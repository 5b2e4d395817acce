"""What every sender over HTTP does alike: credentials and tokens around one exchange.

How connections are made and kept is the business of the one below: `PooledSender` or `LeanSender`.
"""

import asyncio
from abc import ABC, abstractmethod
from typing import Protocol, TypeVar

from sgtm.delivery.clock import Clock, LoopClock
from sgtm.delivery.credentials import Credentials
from sgtm.delivery.egress import Egress
from sgtm.delivery.exchange import OnEnd, Started
from sgtm.delivery.request_writer import Written, write_parts, write_request
from sgtm.delivery.tls import verified_context
from sgtm.delivery.tokens import Tokens
from sgtm.messages import CredentialUse, MadeBy, OutgoingRequest, VendorAnswer

MAX_KEPT_BYTES = 1_048_576
"""Of an answer's body; the rest is read and thrown away."""
MAX_READ_BYTES = 8 * MAX_KEPT_BYTES
"""Of an answer; what is longer is cut off, and the connection with it (SPEC: reliability 3, rule 8)."""
_LEAST_S = 0.001
"""Nothing left of a time-out is not nothing: it ends at once."""


class Sender(Protocol):
    """Whoever can send a request."""

    def start(self, request: OutgoingRequest, timeout_s: float, on_end: OnEnd) -> Started | None:
        """Write the request here and now, if nothing has to be waited for first; None: `send` it. `on_end`
        is called later, never from in here, with what came of it. Never raises."""

    async def send(self, request: OutgoingRequest, timeout_s: float) -> VendorAnswer:
        """The vendor's complete answer, whatever its status. Raises only SendError."""


Self = TypeVar("Self", bound="HttpSender")


class HttpSender(ABC):
    """`async with` it, or `close()` it.

    No cookies, no redirects, no proxies from the environment, TLS always verified (1.2 or later), nothing
    decompressed because nothing compressed is asked for. `egress` says what may be connected to, of which
    nobody is asked twice; without one, public hosts. `connections` bounds the sockets to one host: 1,000 is
    10,000 requests a second at 100 ms. `ca_file` adds an authority.
    """

    def __init__(
        self,
        credentials: Credentials,
        egress: Egress | None = None,
        *,
        connect_timeout_s: float = 3.0,
        connections: int = 1_000,
        ca_file: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.credentials = credentials
        self._egress = egress or Egress()
        self._connect_timeout_s, self._connections = connect_timeout_s, connections
        self._tls = verified_context(ca_file)
        self._is_closed = False
        self._tokens = Tokens(credentials, self._post, clock or LoopClock())

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; what is still under way fails as Disconnected."""
        self._is_closed = True
        await self._close_connections()
        await self._tokens.settle()

    def start(self, request: OutgoingRequest, timeout_s: float, on_end: OnEnd) -> Started | None:
        """See Sender."""
        return None

    async def send(self, request: OutgoingRequest, timeout_s: float) -> VendorAnswer:
        """See Sender. `timeout_s` covers everything from the connection to the answer's last byte."""
        use = request.credential
        if use is not None and use.made_by is not None:
            return await self._send_with_token(request, use, use.made_by, timeout_s)
        written = write_request(request, self.credentials)
        return await self._exchange(written, request.body, timeout_s, request.can_be_repeated)

    async def _send_with_token(
        self, request: OutgoingRequest, use: CredentialUse, made_by: MadeBy, timeout_s: float
    ) -> VendorAnswer:
        """Get the token, and another one if the vendor says 401 to the first, all in one time-out."""
        now = asyncio.get_running_loop().time
        deadline = now() + timeout_s

        async def send(token: str) -> VendorAnswer:
            written = write_request(request, self.credentials, token)
            left_s = max(_LEAST_S, deadline - now())
            return await self._exchange(written, request.body, left_s, request.can_be_repeated)

        token = await self._tokens.token(use, made_by, deadline)
        answer = await send(token)
        if answer.status == 401 and self._tokens.may_replace(made_by, token):
            answer = await send(await self._tokens.token(use, made_by, deadline))
        return answer

    async def _post(
        self, url: str, headers: tuple[tuple[str, str], ...], body: bytes, timeout_s: float
    ) -> VendorAnswer:
        """Take a form to a token endpoint: once, since a refresh token may be void after its first use."""
        return await self._exchange(write_parts("POST", url, headers), body, timeout_s, False)

    @abstractmethod
    async def _exchange(
        self, written: Written, body: bytes, timeout_s: float, can_be_repeated: bool
    ) -> VendorAnswer:
        """One request and its answer, through the door. Raises only SendError."""

    @abstractmethod
    async def _close_connections(self) -> None:
        """Close all of them; no more are made."""
