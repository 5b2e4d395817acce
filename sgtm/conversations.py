"""Conversations: steps that ask and go on with the answers, carried out by the corridor.

Everything that is asked goes through the worker's sender, so through its egress door; several at once,
MAX_UNDER_WAY over all of a worker. What a hit asks counts among what one hit may cause.

SPEC: reliability 3 (rule 10), 4.2; requirements R152.
"""

import asyncio
import time
from typing import Any, Protocol

from sgtm.delivery.errors import SendError, TimedOut
from sgtm.event import undefined
from sgtm.hit import Hit, HitBounds
from sgtm.messages import DONE, Ask, Conversation, Failed, Outcome, OutgoingRequest, VendorAnswer
from sgtm.observability.metrics import Counters
from sgtm.observability.walk import WalkedDelivery, WalkedTag

MAX_UNDER_WAY = 200
"""Requests of one worker whose answers are awaited at a time; further ones wait for their turn, which their
own time-outs cover."""


class Sends(Protocol):
    """Whoever takes a request to its vendor and brings the answer."""

    async def send(self, request: OutgoingRequest, timeout_s: float) -> VendorAnswer:
        """The answer. Raises SendError."""


class Conversations:
    """Carries out the conversations of one worker. Without a sender nothing is answered."""

    def __init__(
        self,
        sender: Sends | None,
        counters: Counters,
        bounds: HitBounds,
        max_under_way: int = MAX_UNDER_WAY,
    ) -> None:
        self._sender, self._counters, self._bounds = sender, counters, bounds
        self._turn = asyncio.Semaphore(max_under_way)
        self._running: dict[Conversation, asyncio.Future[Any]] = {}
        self._unawaited: set[asyncio.Task[VendorAnswer | Failed]] = set()

    async def finish(
        self, conversation: Conversation, hit: Hit | None = None, walked: WalkedTag | None = None
    ) -> Any:
        """Its result, when nothing is asked any more or its time is over. `hit` bounds what is asked. Raises
        what `result` raises."""
        under_way: dict[asyncio.Task[VendorAnswer | Failed], Ask] = {}
        try:
            async with asyncio.timeout(conversation.wall_s):
                while True:
                    for ask in conversation.take_asks():
                        self._begin(ask, hit, walked, under_way)
                    if not under_way:
                        break
                    done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        conversation.answered(under_way.pop(task), task.result())
        except TimeoutError:
            conversation.end()
        finally:
            for task in under_way:
                task.cancel()
        return conversation.result()

    async def value(self, conversation: Conversation, hit: Hit) -> Any:
        """The value of a variable that asks; undefined where it fails (SPEC: sandbox-api 5.10.4, A14).
        Several may wait for one. Never raises."""
        running = self._running.get(conversation)
        if running is None:
            running = self._running[conversation] = asyncio.ensure_future(self.finish(conversation, hit))
            running.add_done_callback(lambda _: self._running.pop(conversation))
        try:
            return await asyncio.shield(running)
        except Exception:
            return undefined

    async def all_sent(self) -> None:
        """Wait for what is under way and nobody goes on with."""
        if self._unawaited:
            await asyncio.wait(self._unawaited)

    # -- one request -----------------------------------------------------------------------------

    def _begin(
        self,
        ask: Ask,
        hit: Hit | None,
        walked: WalkedTag | None,
        under_way: dict[asyncio.Task[VendorAnswer | Failed], Ask],
    ) -> None:
        delivery = walked.delivery(ask.request) if walked is not None else None
        task = asyncio.ensure_future(self._answer(ask, hit, delivery))
        if ask.is_awaited:
            under_way[task] = ask
        else:
            self._unawaited.add(task)
            task.add_done_callback(self._unawaited.discard)

    async def _answer(
        self, ask: Ask, hit: Hit | None, walked: WalkedDelivery | None
    ) -> VendorAnswer | Failed:
        if walked is not None:
            walked.begins(time.time_ns() // 1_000)
        outcome, answer = await self._sent(ask, hit)
        self._counters.add("sgtm_template_requests_total", outcome)
        if walked is not None:
            said = answer if isinstance(answer, VendorAnswer) else None
            became = DONE if said is not None else Outcome("dead", outcome)
            walked.ended(time.time_ns() // 1_000, became, said, "" if said else outcome, 1)
        return answer

    async def _sent(self, ask: Ask, hit: Hit | None) -> tuple[str, VendorAnswer | Failed]:
        if self._sender is None:
            return "failed", Failed("failed")
        if hit is not None and not hit.may_cause(ask.request, self._bounds):
            return "too many", Failed("failed")
        try:
            async with asyncio.timeout(ask.timeout_s), self._turn:
                return "answered", await self._sender.send(ask.request, ask.timeout_s)
        except (TimeoutError, TimedOut):
            return "timed out", Failed("timed_out")
        except SendError:
            return "failed", Failed("failed")
