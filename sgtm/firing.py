"""Which tags fire on an event, in which order, and what becomes of what they build.

    fire_tags -> (triggers, schedule, sample, consent) -> build -> deliver
                  \\-> in sequence: set-up tag -> tag -> clean-up tag
                  \\-> first what stands elsewhere (lookups), then build

A tag that has nothing to wait for is built and handed to the lanes here and now. Everything else
becomes a coroutine in `hit.pending`, which delays neither the answer nor the other tags.

SPEC: google-runtime 2.2 and 4; sandbox-api 5.10; requirements R99, R100, R152.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from sgtm.container.container import ContainerTag, View
from sgtm.conversations import Conversations
from sgtm.delivery.lanes import Delivery
from sgtm.errors import ParametersError
from sgtm.event_ends import EventEnds, Status
from sgtm.event_run import EventRun, walk_transformations, walk_variables
from sgtm.gates import blocked_by_consent, held_back, leads_to_partner
from sgtm.hit import Debt, Hit, HitBounds
from sgtm.messages import Conversation, Listener, Lookup, Pending, TagResult
from sgtm.observability.metrics import Counters
from sgtm.observability.trace import request_id
from sgtm.observability.walk import WalkedEvent, WalkedTag
from sgtm.once import NOT_KEPT, Keys, claim

log = logging.getLogger("sgtm.firing")

PENDING_TIMEOUT_S = 20.0
"""Longest time a tag may wait for answers before it fails (SPEC: reliability 4.2, wall time), and
longest time for which a set-up tag's deliveries hold its main tag back: then it counts as failed, and
goes on being delivered."""


HIT_BOUNDS = HitBounds()


class Lanes(Protocol):
    """Whoever takes deliveries."""

    def deliver(self, delivery: Delivery) -> None:
        """Take one delivery; its `on_settled` is called exactly once."""


class Lookups(Protocol):
    """Whoever finds what stands elsewhere."""

    async def find(self, lookup: Lookup) -> Any:
        """The value, or the lookup's default where it cannot be had in time. Never raises."""


class Firing:
    """Fires the tags of events, for one worker."""

    def __init__(
        self,
        lanes: Lanes,
        counters: Counters,
        lookups: Lookups | None = None,
        bounds: HitBounds = HIT_BOUNDS,
        keys: Keys | None = None,
        conversations: Conversations | None = None,
    ) -> None:
        self._lanes, self._counters, self._lookups, self._bounds = lanes, counters, lookups, bounds
        self._keys = keys
        self._conversations = conversations or Conversations(None, counters, bounds)

    def fire_tags(self, hit: Hit, view: View, walked: WalkedEvent | None) -> None:
        """Fire every tag that this event fires. Never raises."""
        run = EventRun(hit, view, walked)
        if hit.ends is not None:
            hit.ends.event_begins(view.event.index)
        candidates = hit.container.tags_worth_a_look(view)
        if walked is None:
            for tag in candidates:
                if hit.fires_all or self._fires(hit, tag):
                    times = 1 if tag.firings is None else tag.firings(view)
                    self._fire(run, tag, None, times)
        else:  # only somebody who looks wants to hear of tags that the event's name has ruled out
            for tag in hit.container.tags:
                if self._fires(hit, tag):
                    walked_tag = run.walk_tag(tag)
                    self._fire(run, tag, walked_tag, _times(tag, view, candidates, walked_tag))
        if view.failed_variables:
            self._count_failed(view)

    def _fires(self, hit: Hit, tag: ContainerTag) -> bool:
        return not hit.skips(tag.name, tag.answers_browser) or leads_to_partner(hit, tag)

    def _count_failed(self, view: View) -> None:
        for name in view.newly_failed():
            self._counters.add("sgtm_variable_errors_total", name)

    def _may_fire(self, run: EventRun, tag: ContainerTag, walked: WalkedTag | None) -> bool:
        if not tag.is_gated and not run.view.event.consent.is_update:
            return True
        outcome, reason = "held back", held_back(run.hit, run.view.event, tag)
        if not reason:
            outcome, reason = "blocked by consent", blocked_by_consent(run.hit, run.view.event, tag)
        if not reason:
            return True
        self._counters.add(
            "sgtm_tags_blocked_total" if outcome == "blocked by consent" else "sgtm_tags_held_back_total",
            tag.name,
        )
        if walked is not None:
            walked.outcome, walked.reason = outcome, reason  # type: ignore[assignment]
        return False

    def _fire(self, run: EventRun, tag: ContainerTag, walked: WalkedTag | None, times: int) -> None:
        if times and self._may_fire(run, tag, walked):
            for _ in range(times):
                if tag.is_sequenced:
                    run.hit.pending.append(self._run_in_sequence(run, tag, walked, frozenset()))
                else:
                    self._build(run, tag, walked, None)

    # -- build -----------------------------------------------------------------------------------

    def _build(self, run: EventRun, tag: ContainerTag, walked: WalkedTag | None, debt: Debt | None) -> None:
        """Run the tag's function; what has to wait first goes to `hit.pending`."""
        if run.hit.trace is not None:
            run.begins(tag, run.hit.trace)
        try:
            if tag.awaits or (tag.transformations and any(one.awaits for one in tag.transformations)):
                run.hit.pending.append(self._build_later(run, tag, walked, debt))
                return
            view = run.view.for_tag(tag) if tag.transformations else run.view
            result = self._built(run, tag, walked, view)
            if not run.hit.delivers and isinstance(result, Conversation):
                result = result.result()  # whoever delivers asks
            if isinstance(result, (Pending, Conversation)) or tag.deduplication is not None:
                run.hit.pending.append(self._resolve(run, tag, walked, debt, result))
            else:
                self._deliver(run, tag, result, walked, debt)
        except Exception as error:
            self._failed(run, tag, error, walked, debt)

    def _built(self, run: EventRun, tag: ContainerTag, walked: WalkedTag | None, view: View) -> Any:
        """What the tag's function gives for its view."""
        if walked is not None:
            walk_transformations(tag, run.view, walked)
        try:
            return tag.component.function(view.event, tag.parameters(view))
        finally:
            if walked is not None:
                walk_variables(view, walked)
            if run.hit.walk is not None:
                run.hit.walk.reached(f"tag {tag.name}")
            if view.failed_variables:
                self._count_failed(view)

    async def _build_later(
        self, run: EventRun, tag: ContainerTag, walked: WalkedTag | None, debt: Debt | None
    ) -> None:
        """The same, once what its transformations and its variables look up has been found."""
        try:
            view = run.view
            for transformation in tag.transformations:
                await self._bring(run.hit, view, transformation.awaits)
                view = view.after(transformation)
            await self._bring(run.hit, view, tag.awaits)
            result = self._built(run, tag, walked, view)
        except Exception as error:
            self._failed(run, tag, error, walked, debt)
            return
        await self._resolve(run, tag, walked, debt, result)

    async def _bring(self, hit: Hit, view: View, waves: Sequence[Sequence[int]]) -> None:
        """What variables look up elsewhere: those of one wave at once."""
        for wave in waves:
            asked = [(slot, lookup) for slot in wave if (lookup := view.lookup(slot)) is not None]
            values = await asyncio.gather(*(self._found(hit, lookup) for _, lookup in asked))
            for (slot, _), value in zip(asked, values, strict=True):
                view.found(slot, value)

    async def _found(self, hit: Hit, lookup: Lookup | Conversation) -> Any:
        if isinstance(lookup, Lookup):
            return lookup.default if self._lookups is None else await self._lookups.find(lookup)
        return await self._conversations.value(lookup, hit)

    async def _resolve(
        self, run: EventRun, tag: ContainerTag, walked: WalkedTag | None, debt: Debt | None, result: Any
    ) -> None:
        try:
            async with asyncio.timeout(PENDING_TIMEOUT_S):
                while isinstance(result, Pending):
                    result = await result.awaitable
                # a conversation sends as it goes: it does not begin before that is known
                if tag.deduplication is not None and not await self._may_send(run, tag, result, walked):
                    if debt is not None:
                        debt.ended(has_failed=False)
                    return
            if isinstance(result, Conversation):
                result = await self._conversations.finish(result, run.hit, walked)
            self._deliver(run, tag, result, walked, debt)
        except Exception as error:
            self._failed(run, tag, error, walked, debt)

    def tell_ends(self, hit: Hit) -> None:
        """Nothing runs any more: those hear of it who want to, and go on in `hit.pending`."""
        if hit.ends is not None:
            told, hit.ends.listeners = hit.ends.listeners, []
            hit.pending += [self._tell_end(hit.ends, *one) for one in told]

    async def _tell_end(
        self,
        ends: EventEnds,
        run: EventRun,
        tag: ContainerTag,
        walked: WalkedTag | None,
        failure: str,
        listener: Listener,
    ) -> None:
        try:
            listener.event_ended(ends.tags_of(run.view.event.index))
            result = await self._conversations.finish(listener, run.hit, walked)
            if walked is not None:
                walked.console.extend(result.console)
            if result.failure and result.failure != failure:
                self._has_failed(run, tag, result.failure, walked)
            self._send(run, tag, result, walked, None)
        except Exception as error:
            self._failed(run, tag, error, walked, None)

    def _note_end(
        self, run: EventRun, tag: ContainerTag, walked: WalkedTag | None, result: TagResult, ends: EventEnds
    ) -> None:
        status: Status = "exception" if result.has_raised else "failure" if result.failure else "success"
        ends.tag_ended(run.view.event.index, tag.name, status)
        if result.listener is not None:
            ends.listeners.append((run, tag, walked, result.failure, result.listener))

    def _failed(
        self, run: EventRun, tag: ContainerTag, error: Exception, walk: WalkedTag | None, debt: Debt | None
    ) -> None:
        # ParametersError is our own and names fields only; any other text may quote the event
        if run.hit.ends is not None:
            run.hit.ends.tag_ended(run.view.event.index, tag.name, "exception")
        reason = str(error) if isinstance(error, ParametersError) else f"raised {type(error).__name__}"
        self._has_failed(run, tag, reason, walk)
        if debt is not None:
            debt.ended(has_failed=True)

    def _has_failed(self, run: EventRun, tag: ContainerTag, reason: str, walk: WalkedTag | None) -> None:
        run.hit.has_failed = True
        run.has_built(tag, 0, reason)
        self._counters.add("sgtm_tags_failed_total", tag.name)
        which = {"request": request_id(run.hit.request), "client": run.hit.client.name}
        log.error("tag failed", extra={**which, "tag": tag.name, "reason": reason})
        run.hit.build_failed(tag.name, run.view.event.index, reason)
        if walk is not None:
            walk.outcome, walk.reason = "failed", reason

    async def _may_send(
        self, run: EventRun, tag: ContainerTag, result: Any, walked: WalkedTag | None
    ) -> bool:
        """Whether no other record has sent the same event; it is this one's from now on."""
        requests = result.requests if isinstance(result, TagResult) else result
        if self._keys is None or not requests or not run.hit.delivers:
            return True
        claimed = await claim(self._keys, run.hit, tag, run.view.event)
        if isinstance(claimed, str):
            if claimed != NOT_KEPT:
                self._counters.add("sgtm_events_deduplicated_total", tag.name)
            if walked is not None:
                walked.outcome, walked.reason = "sent nothing", claimed
            return False
        if claimed is not None:
            run.claims[tag.name] = claimed
        return True

    # -- hand what the tag built to the lanes ----------------------------------------------------

    def _deliver(
        self, run: EventRun, tag: ContainerTag, result: Any, walked: WalkedTag | None, debt: Debt | None
    ) -> None:
        if not isinstance(result, TagResult):
            result = TagResult(tuple(result))
        hit = run.hit
        if result.cookies or result.pixels:
            hit.cookies.extend(result.cookies)
            hit.pixels.extend(result.pixels)
        if walked is not None:
            walked.note(result)
        if hit.ends is not None:
            self._note_end(run, tag, walked, result, hit.ends)
        if hit.delivers and result.failure:
            self._has_failed(run, tag, result.failure, walked)
        elif hit.delivers:
            self._count(tag, result)
        self._send(run, tag, result, walked, debt)

    def _send(
        self, run: EventRun, tag: ContainerTag, result: TagResult, walked: WalkedTag | None, debt: Debt | None
    ) -> None:
        """Its requests, each into its lane."""
        hit = run.hit
        latest = hit.begun_micros + tag.life_micros
        is_over, claimed = False, run.claims.pop(tag.name, None) if run.claims else None
        trace = run.has_built(tag, len(result.requests)) if run.traces else None
        for request in result.requests if hit.delivers else ():
            if not hit.may_cause(request, self._bounds):
                is_over = True
                self._refuse(hit, tag, walked)
                continue
            expires = request.expires_micros
            if not expires or expires > latest:
                expires = latest
            settle = hit.owe(tag.name)
            if claimed is not None:
                settle = claimed.owe(settle)
            self._lanes.deliver(
                Delivery(
                    tag=tag.name,
                    component=tag.component,
                    request=request,
                    rules=tag.delivery,
                    on_settled=settle if debt is None else debt.owe(settle),
                    expires_micros=expires,
                    on_dead=hit.died,
                    event_index=run.view.event.index,
                    received_micros=hit.request.received_micros,
                    seed=hit.request.seed,
                    trace=trace,
                    walked=walked.delivery(request) if walked is not None else None,
                    is_again=hit.again is not None,
                )
            )
        if claimed is not None:
            claimed.ended(is_kept=result.has_asked and not result.failure)
        if debt is not None:
            debt.ended(has_failed=is_over or bool(result.failure))

    def _refuse(self, hit: Hit, tag: ContainerTag, walked: WalkedTag | None) -> None:
        """A request too many: it is not sent."""
        self._counters.add("sgtm_deliveries_refused_total", tag.name)
        if not hit.is_over:
            what = {"tag": tag.name, "requests": hit.caused_requests, "bytes": hit.caused_bytes}
            log.error("a hit causes too many requests", extra={**what, "mend": "--hit-requests, --hit-bytes"})
        hit.is_over = hit.has_failed = True
        if walked is not None:
            walked.warnings.append("not sent: the hit had caused as much as one may")

    def _count(self, tag: ContainerTag, result: TagResult) -> None:
        is_silent = bool(result.sends_nothing_because)
        self._counters.add("sgtm_tags_silent_total" if is_silent else "sgtm_tags_fired_total", tag.name)
        if result.warnings:
            self._counters.add("sgtm_tag_warnings_total", tag.name, len(result.warnings))
        for key in result.match_keys:
            self._counters.add("sgtm_match_keys_total", f"{tag.name}/{key}")

    # -- sequences -------------------------------------------------------------------------------

    async def _run_in_sequence(
        self, run: EventRun, tag: ContainerTag, walked: WalkedTag | None, above: frozenset[str]
    ) -> Debt | None:
        """Set-up tag, tag, clean-up tag; what the tag itself owes, None if it was held back. Once per
        event, however many want it, unless it is unlimited (SPEC: google-runtime 4.3, 4.5, 4.6;
        sandbox-api 5.10.4, A9)."""
        if tag.is_unlimited:
            return await self._sequence(run, tag, walked, above)
        running = run.sequences.get(tag.name)
        if running is None:
            running = run.sequences[tag.name] = asyncio.ensure_future(self._sequence(run, tag, walked, above))
        return await asyncio.shield(running)

    async def _sequence(
        self, run: EventRun, tag: ContainerTag, walked: WalkedTag | None, above: frozenset[str]
    ) -> Debt | None:
        above |= {tag.name}
        has_set_up = await self._run_partner(run, tag.setup_tag, above)
        if not has_set_up and tag.stops_on_setup_failure:
            self._counters.add("sgtm_tags_held_back_total", tag.name)
            if walked is not None:
                walked.outcome, walked.reason = "held back", f"its set-up tag {tag.setup_tag!r} failed"
            return None
        if run.hit.skips(tag.name):  # it ran before; its partner still owes something
            if tag.cleanup_tag:
                await self._run_partner(run, tag.cleanup_tag, above)
            return None
        debt = Debt()
        first_pending = len(run.hit.pending)
        self._build(run, tag, walked, debt)
        await _run_all(run.hit, first_pending)
        if tag.cleanup_tag and (await debt.settled(PENDING_TIMEOUT_S) or not tag.cleanup_only_on_success):
            await self._run_partner(run, tag.cleanup_tag, above)
        return debt

    async def _run_partner(self, run: EventRun, name: str, above: frozenset[str]) -> bool:
        """Run a set-up or clean-up tag; whether it succeeded. Its own triggers do not matter; consent
        that is missing is a failure (SPEC: google-runtime 4.7). One that is not there, or that a circle
        leads back to, is as if it were not set."""
        tag = run.hit.container.tags_by_name.get(name) if name else None
        if tag is None or name in above or run.hit.has_settled(name):
            return True
        if run.hit.skips(name) and not leads_to_partner(run.hit, tag):
            return True
        walked = run.walk_tag(tag)
        if not self._may_fire(run, tag, walked):
            return False
        debt = await self._run_in_sequence(run, tag, walked, above)
        return debt is not None and await debt.settled(PENDING_TIMEOUT_S)


async def _run_all(hit: Hit, first: int) -> None:
    """Run what a build has put at the end of `hit.pending`."""
    waiting = hit.pending[first:]
    del hit.pending[first:]
    if waiting:
        await asyncio.gather(*waiting)


def _times(
    tag: ContainerTag, view: View, candidates: Sequence[ContainerTag], walked: WalkedTag | None
) -> int:
    """How often the event's name and the tag's triggers fire it."""
    if walked is not None and not any(tag is candidate for candidate in candidates):
        times = 0
    else:
        times = 1 if tag.firings is None else tag.firings(view)
    if walked is not None and not times:
        is_blocked = any(trigger.is_blocking and trigger.has_matched for trigger in walked.triggers)
        walked.outcome = "blocked by trigger" if is_blocked else "not triggered"
    return times
