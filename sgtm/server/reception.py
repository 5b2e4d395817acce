"""What a request meets once its head is read, whichever way it came in: checks, rates, the pipeline.

    welcome (may it come in?) -> its body, read by whoever read the head -> answer

Nothing here knows a parser or a connection. The edge and aiohttp's handler (`application.py`) are the two
ways in; what they share, the answer, the counters and the order of the checks, stands here once.
"""

import asyncio
import logging
import os
import struct
import time
from collections.abc import Awaitable

from msgspec import Struct

from sgtm.container.container import Endpoint
from sgtm.messages import Answer, IncomingRequest
from sgtm.observability.metrics import Counters
from sgtm.server.health import Health
from sgtm.server.limits import (
    BAD_REQUEST,
    INTERNAL_ERROR,
    RETRY_LATER,
    SHORT_OF_MEMORY,
    TOO_MANY_REQUESTS,
    UNKNOWN_HOST,
    Headers,
    Limits,
    Refusal,
)
from sgtm.server.memory import HARD, NORMAL, SOFT, MemoryGuard
from sgtm.server.proxy import Requester, TrustedProxies
from sgtm.server.rate import Rates, retry_after
from sgtm.server.sites import EVERYWHERE, Sites
from sgtm.server.watching import Entered, Runs, Watch
from sgtm.server.written import refusal_answer
from sgtm.tally import NOBODY

log = logging.getLogger("sgtm.server")


class Arrival(Struct, frozen=True):
    """A request that may come in: its head as our own, and whose it is."""

    method: str
    path: str
    query: bytes
    headers: Headers
    requester: Requester
    endpoint: Endpoint | None
    received_micros: int

    @property
    def is_collect(self) -> bool:
        """Whether browsers send hits there."""
        return self.endpoint is not None and self.endpoint.is_collect


class Reception:
    """Receives every request of one worker. `limits` may be swapped."""

    def __init__(
        self,
        pipeline: Runs,
        health: Health,
        limits: Limits,
        rates: Rates,
        memory: MemoryGuard,
        proxies: TrustedProxies,
        counters: Counters,
        sites: Sites = EVERYWHERE,
        watch: Watch | None = None,
    ) -> None:
        self._pipeline, self.health, self.limits = pipeline, health, limits
        self._rates, self._memory = rates, memory
        self._proxies, self._counters = proxies, counters
        self.sites = sites
        self.watch = watch
        """Whoever looks at requests; may be swapped."""
        self.under_way = 0
        """Requests that are being handled and whose answer waits for something."""
        self._all_done: asyncio.Future[None] | None = None

    # -- how many there are ----------------------------------------------------------------------

    def begin(self) -> None:
        """A request is being handled from now on."""
        self.under_way += 1

    def end(self) -> None:
        """It is answered, or nobody waits for its answer any more."""
        self.under_way -= 1
        if self._all_done is not None and not self.under_way and not self._all_done.done():
            self._all_done.set_result(None)

    async def nothing_under_way(self) -> None:
        """Wait until no request is being handled."""
        if self.under_way:
            self._all_done = asyncio.get_running_loop().create_future()
            await self._all_done

    @property
    def wants_no_connections(self) -> bool:
        """Whether each connection shall end with its next answer."""
        return self.health.is_draining or self._memory.level > NORMAL

    # -- one request -----------------------------------------------------------------------------

    def welcome(
        self, method: str, path: str, query: bytes, headers: Headers, peer: str, scheme: str
    ) -> Arrival:
        """Let a request come in whose head is read and within its limits. Raises Refusal.

        `path` is as clients know it (`Sites.path_inside`), `peer` the address at the socket."""
        received_micros = time.time_ns() // 1000
        requester = self._proxies.requester(peer, headers, scheme)
        if not requester.host and any(name == b"host" and value for name, value in headers):
            raise Refusal(*BAD_REQUEST)
        if not self.sites.serves(requester.host):
            raise Refusal(*UNKNOWN_HOST)
        endpoint = self._pipeline.endpoint(path, requester.host)
        arrival = Arrival(method, path, query, headers, requester, endpoint, received_micros)
        is_collect = endpoint is not None and endpoint.is_collect
        if self._memory.level == HARD or (self._memory.level == SOFT and not is_collect):
            raise Refusal(*SHORT_OF_MEMORY, RETRY_LATER)
        if not is_collect:  # before a body is read that nobody wants
            wait_s = self._wait_s(arrival)
            if wait_s:
                raise Refusal(*TOO_MANY_REQUESTS, (retry_after(wait_s),))
        return arrival

    def answer(self, arrival: Arrival, headers: Headers, body: bytes) -> Answer | Awaitable[Answer]:
        """Answer it, now that its body is there and unpacked. `headers` go with the body."""
        requester = arrival.requester
        request = IncomingRequest(
            method=arrival.method,
            path=arrival.path,
            query=arrival.query,
            headers=headers,
            body=body,
            remote_address=requester.remote_address,
            is_peer_trusted=requester.is_peer_trusted,
            scheme=requester.scheme,
            host=requester.host,
            received_micros=arrival.received_micros,
            seed=_draw_seed(),
            path_prefix=self.sites.prefix,
        )
        if self.watch is not None and (entered := self.watch.enter(request)) is not None:
            return self._answer_watched(arrival, entered)
        refused = self._pipeline.refuse(request)
        if refused is not None:
            return self._noted(refused)
        # a preflight that is dropped would take the hit with it
        if arrival.is_collect and request.method != "OPTIONS" and self._wait_s(arrival):
            return self._drop(request)
        return self._pipeline.run(request)

    def _answer_watched(self, arrival: Arrival, entered: Entered) -> Answer | Awaitable[Answer]:
        """The same for a request that somebody looks at."""
        request, walk = entered.request, entered.walk
        refused = self._pipeline.refuse(request) if entered.is_refusable else None
        answer = None if refused is None else self._noted(refused)
        if answer is None and arrival.is_collect and request.method != "OPTIONS" and self._wait_s(arrival):
            answer = self._drop(request)
        if answer is None:
            return entered.finish((entered.runs or self._pipeline).run(request, walk))
        if walk is not None:
            walk.answer = answer
            walk.warnings.append("the server refused or dropped it before any client was asked")
        return entered.finish(answer)

    def _drop(self, request: IncomingRequest) -> Answer:
        self._counters.add("sgtm_requests_dropped_total", TOO_MANY_REQUESTS[1])
        return self._noted(self._pipeline.drop(request))

    def failed(self, error: Exception) -> tuple[Answer, bool]:
        """What is said instead, and whether the connection ends with it; counted."""
        if isinstance(error, Refusal):
            self._counters.add("sgtm_requests_refused_total", error.reason)
            return self._noted(refusal_answer(error.status, error.reason, error.headers)), True
        log.error("request failed", extra={"error": type(error).__name__})
        self._counters.add("sgtm_requests_refused_total", INTERNAL_ERROR[1])
        return self._noted(refusal_answer(*INTERNAL_ERROR)), self.wants_no_connections

    def _noted(self, answer: Answer) -> Answer:
        """An answer to a request that no client has seen, counted; the others the pipeline counts."""
        self._counters.add("sgtm_answers_total", f"{NOBODY}/{answer.status // 100}xx")
        return answer

    def _wait_s(self, arrival: Arrival) -> float:
        if not self._rates.is_any_set:
            return 0.0
        now = asyncio.get_running_loop().time()
        address = arrival.requester.remote_address
        return self._rates.wait_s(arrival.endpoint, arrival.path, arrival.query, address, now)


_SEEDS_AT_ONCE = 512
_seeds: list[int] = []


def _draw_seed() -> int:
    """64 random bits; the kernel is asked once for many."""
    if not _seeds:
        _seeds.extend(struct.unpack(f"={_SEEDS_AT_ONCE}Q", os.urandom(8 * _SEEDS_AT_ONCE)))
    return _seeds.pop()
