"""Lookups: what variables ask of stores elsewhere, while tags wait for it.

    find -> kept? -> already being asked? -> ask: one place in the destination's queue -> keep -> read

- one call per question at a time, however many tags wait (R153), and none while the answer is kept
- what is not there (404, or an answer without the value) is kept too (R285)
- a time-out that covers everything, then the default (R284); who asks later may profit from the call
- a destination that fails again and again is left alone for a while; a full queue is not joined
- the same sender as for deliveries: credentials by name, egress door, TLS verified

What is kept is the answer, so several variables may read several values of it. Questions and answers
may hold personal data: they are in memory only, bounded, and in no log. SPEC: requirements R152, R153,
R259.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from typing import Any

from msgspec import Struct

from sgtm.delivery.circuit import Circuit
from sgtm.delivery.clock import Clock, LoopClock
from sgtm.delivery.errors import SendError, TimedOut
from sgtm.delivery.request_writer import origin_of
from sgtm.delivery.sender import Sender
from sgtm.event import undefined
from sgtm.messages import Lookup, VendorAnswer
from sgtm.observability.metrics import Counters

log = logging.getLogger("sgtm.lookups")

MAX_UNDER_WAY = 32
"""Calls to one destination at a time."""
MAX_WAITING = 1_000
"""Calls to one destination that wait for their turn; who comes then gets the default."""
MAX_ENTRIES = 10_000
MAX_BYTES = 32 * 1_048_576
_ENTRY_BYTES = 400
"""What an answer costs beside its body."""
_LOG_EVERY_S = 60.0
_PATIENCE = 2.0
"""A call may take so many times as long as its first asker waits: a store that is always a little too slow
still answers those who come later."""

Origin = tuple[str, str, int]
_Answered = VendorAnswer | None
"""An answer, or None for what is not there."""


class LookupFailed(Exception):
    """A call that brought nothing; its text is the outcome that is counted."""


class _Kept(Struct):
    """One answer and when it came (monotonic seconds)."""

    answer: _Answered
    at: float
    size: int


class _Destination:
    """What is known of one host: calls under way, calls that wait, whether it is well."""

    def __init__(self, max_under_way: int) -> None:
        self.turn = asyncio.Semaphore(max_under_way)
        self.waiting = 0
        self.circuit = Circuit()
        self.logged_at = float("-inf")


class Lookups:
    """Carries out lookups, for one worker."""

    def __init__(
        self,
        sender: Sender,
        counters: Counters,
        *,
        clock: Clock | None = None,
        max_under_way: int = MAX_UNDER_WAY,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._sender, self._counters, self._clock = sender, counters, clock or LoopClock()
        self._max_under_way, self._max_entries, self._max_bytes = max_under_way, max_entries, max_bytes
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        """Least recently used first."""
        self._bytes = 0
        self._asking: dict[bytes, asyncio.Task[_Answered]] = {}
        self._destinations: dict[Origin, _Destination] = {}
        """Hosts stand in containers and never come from an event, so these are few."""

    def __len__(self) -> int:
        return len(self._kept)

    async def find(self, lookup: Lookup) -> Any:
        """The value, or the lookup's default. Raises nothing of its own."""
        key = hashlib.blake2b(lookup.key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        kept = self._kept.get(key)
        if kept is not None:
            value, is_good = self._read(lookup, kept.answer)
            keep_s = lookup.keep_s if value is not undefined else lookup.keep_missing_s
            if is_good and self._clock.now() - kept.at < keep_s:
                self._kept.move_to_end(key)
                return self._done(lookup, "kept", value)
        try:
            async with asyncio.timeout(lookup.timeout_s):
                answer = await asyncio.shield(self._ask(key, lookup))
        except TimeoutError:
            return self._done(lookup, "timed out", undefined)
        except LookupFailed as failure:
            return self._done(lookup, str(failure), undefined)
        value, is_good = self._read(lookup, answer)
        outcome = "unreadable" if not is_good else "missing" if value is undefined else "found"
        return self._done(lookup, outcome, value)

    def forget(self) -> None:
        """Keep nothing of what is kept: all of it can be had again."""
        self._kept.clear()
        self._bytes = 0

    async def close(self) -> None:
        """End the calls that are under way; who waits for one gets the default."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, lookup: Lookup, outcome: str, value: Any) -> Any:
        self._counters.add("sgtm_lookups_total", outcome)
        return lookup.default if value is undefined else value

    def _read(self, lookup: Lookup, answer: _Answered) -> tuple[Any, bool]:
        """The value in an answer, and whether it could be read at all."""
        if answer is None:
            return undefined, True
        try:
            return lookup.read(answer), True
        except Exception:
            return undefined, False

    # -- one call per question -------------------------------------------------------------------

    def _ask(self, key: bytes, lookup: Lookup) -> "asyncio.Task[_Answered]":
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.ensure_future(self._call(key, lookup))
            task.add_done_callback(lambda task: self._ended(key, task))
        return task

    def _ended(self, key: bytes, task: "asyncio.Task[_Answered]") -> None:
        del self._asking[key]
        if not task.cancelled():
            task.exception()  # every waiter may have gone: nobody else would look at it

    async def _call(self, key: bytes, lookup: Lookup) -> _Answered:
        """Ask the destination, and keep what it says. Raises LookupFailed."""
        try:
            origin = origin_of(lookup.request.url)
        except SendError:
            raise LookupFailed("failed") from None
        destination = self._destinations.get(origin)
        if destination is None:
            destination = self._destinations[origin] = _Destination(self._max_under_way)
        if destination.waiting >= MAX_WAITING:
            raise LookupFailed("overloaded")
        destination.waiting += 1
        try:
            limit_s = _PATIENCE * lookup.timeout_s
            async with asyncio.timeout(limit_s), destination.turn:
                answer = await self._send(lookup, limit_s, destination, origin[1])
        except TimeoutError:
            raise LookupFailed("timed out") from None
        except asyncio.CancelledError:  # by `close`: who waits goes on without it
            raise LookupFailed("failed") from None
        finally:
            destination.waiting -= 1
        self._keep(key, answer)
        return answer

    async def _send(self, lookup: Lookup, limit_s: float, destination: _Destination, host: str) -> _Answered:
        circuit, now = destination.circuit, self._clock.now
        if not circuit.allows(now()):
            raise LookupFailed("shut")
        circuit.sends()
        try:
            answer = await self._sender.send(lookup.request, limit_s)
        except SendError as error:
            self._failed(destination, host, type(error).__name__)
            raise LookupFailed("timed out" if isinstance(error, TimedOut) else "failed") from None
        except asyncio.CancelledError:
            self._failed(destination, host, "TimedOut")
            raise
        if answer.status != 404 and not 200 <= answer.status < 300:
            self._failed(destination, host, f"HTTP {answer.status}")
            raise LookupFailed("failed")
        circuit.succeeded(now())
        return None if answer.status == 404 else VendorAnswer(answer.status, (), answer.body)

    def _failed(self, destination: _Destination, host: str, reason: str) -> None:
        now = self._clock.now()
        destination.circuit.failed(now, reason)
        if now - destination.logged_at >= _LOG_EVERY_S:
            destination.logged_at = now
            log.warning("a lookup failed", extra={"host": host, "reason": reason})

    # -- what is kept ----------------------------------------------------------------------------

    def _keep(self, key: bytes, answer: _Answered) -> None:
        before = self._kept.pop(key, None)
        if before is not None:
            self._bytes -= before.size
        size = _ENTRY_BYTES + (0 if answer is None else len(answer.body))
        if size > self._max_bytes // 8:
            return
        self._kept[key] = _Kept(answer, self._clock.now(), size)
        self._bytes += size
        while self._bytes > self._max_bytes or len(self._kept) > self._max_entries:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.size
