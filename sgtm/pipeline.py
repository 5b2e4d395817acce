"""THE page: what happens to a request, one function per hop, in the order in which it runs.

    run -> claim -> append the record -> make events -> fire each tag -> deliver -> answer

Rules. Everything here is a function of the request and the container (and, for clients that ask for
it, of the hits that came shortly before: `repeats.py`). The answer leaves when the
record is committed (`after_enqueue`), or when the tags have succeeded (`waits_for_tags`). A hop that
has nothing to wait for does not wait: `run` returns the answer itself, and an awaitable only if it
must. No exception of a component leaves this file, nor its text (it may hold personal data).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, Protocol

from sgtm.answers import NO_STORE, finish_answer, hint_at_path, preflight
from sgtm.container.container import Container, ContainerClient, ContainerTag, View
from sgtm.delivery.lanes import Delivery
from sgtm.delivery.outbox import Outbox, OutboxFull
from sgtm.errors import ParametersError
from sgtm.event import Event, make_event
from sgtm.hit import Hit
from sgtm.messages import (
    Answer,
    Claimed,
    Declined,
    IncomingRequest,
    Pending,
    ServeScript,
    TagResult,
    record_of,
)
from sgtm.observability.metrics import Counters
from sgtm.observability.walk import Walk, WalkedTag
from sgtm.repeats import Repeats

log = logging.getLogger("sgtm.pipeline")

Said = Claimed | Declined | Pending
ServeScripts = Callable[[ServeScript, IncomingRequest], Awaitable[Answer]]

PENDING_TIMEOUT_S = 20.0
"""Longest time a tag may wait for answers before it fails (SPEC: reliability 4.2, wall time)."""


class Lanes(Protocol):
    """Whoever takes deliveries."""

    def deliver(self, delivery: Delivery) -> None:
        """Take one delivery; its `on_settled` is called exactly once."""


class Pipeline:
    """The corridor from a request to its answer, for one worker. `container` may be swapped."""

    def __init__(
        self,
        container: Container,
        outbox: Outbox,
        lanes: Lanes,
        counters: Counters,
        serve_script: ServeScripts | None = None,
    ) -> None:
        self.container = container
        self._outbox, self._lanes, self._counters = outbox, lanes, counters
        self._serve_script = serve_script
        self._repeats = Repeats()
        self._background: set[asyncio.Task[None]] = set()

    def run(self, request: IncomingRequest, walk: Walk | None = None) -> Answer | Awaitable[Answer]:
        """Take a request to its answer. An event keeps the container that it began with."""
        if walk is not None:
            walk.method, walk.path = request.method, request.path
        if request.method == "OPTIONS":
            answer = preflight(self.container, request)
            if answer is not None:
                return noted(answer, walk)
        return self._claim(self.container, request, walk, 0)

    async def finish(self) -> None:
        """Wait for tags that are still pending; for an orderly end."""
        if self._background:
            await asyncio.wait(self._background)

    # -- 1 claim: the first client, in priority order, that takes the request --------------------

    def _claim(
        self, container: Container, request: IncomingRequest, walk: Walk | None, first: int
    ) -> Answer | Awaitable[Answer]:
        for position in range(first, len(container.clients)):
            client = container.clients[position]
            said = self._ask(client, request)
            if isinstance(said, Pending):
                return self._claim_later(container, request, walk, position, said)
            if isinstance(said, Claimed):
                return self._run_claimed(container, client, request, said, walk)
            if walk is not None:
                walk.declined.append((client.name, said.reason))
        return self._unclaimed(container, request, walk)

    def _ask(self, client: ContainerClient, request: IncomingRequest) -> Said:
        if client.hosts is not None and not client.hosts.serves(request.host):
            return Declined("the host is none of this client's hosts")
        try:
            return sound(client.component.function(request, client.parameters))
        except Exception as error:
            return self._client_failed(client, error)

    def _client_failed(self, client: ContainerClient, error: Exception) -> Declined:
        self._counters.add("sgtm_client_errors_total", client.name)
        log.error("client raised", extra={"client": client.name, "error": type(error).__name__})
        return Declined(f"raised {type(error).__name__}")

    async def _claim_later(
        self, container: Container, request: IncomingRequest, walk: Walk | None, position: int, said: Said
    ) -> Answer:
        client = container.clients[position]
        try:
            async with asyncio.timeout(client.claim_timeout_s):
                while isinstance(said, Pending):
                    said = sound(await said.awaitable)
        except TimeoutError:
            return self._timed_out(client, walk)
        except Exception as error:
            said = self._client_failed(client, error)
        if isinstance(said, Claimed):
            answer = self._run_claimed(container, client, request, said, walk)
        else:
            if walk is not None:
                walk.declined.append((client.name, said.reason))
            answer = self._claim(container, request, walk, position + 1)
        return await answer if isawaitable(answer) else answer

    def _unclaimed(self, container: Container, request: IncomingRequest, walk: Walk | None) -> Answer:
        self._counters.add("sgtm_requests_unclaimed_total")
        hint = hint_at_path(container, request)
        log.info("no client claimed a request", extra={"method": request.method, "hint": hint})
        if walk is not None:
            walk.warnings.append(f"no client claimed this request; {hint}")
        return noted(Answer(container.unclaimed_status, (NO_STORE,)), walk)

    def _timed_out(self, client: ContainerClient, walk: Walk | None) -> Answer:
        self._counters.add("sgtm_client_timeouts_total", client.name)
        log.error("client claimed a request and never answered it", extra={"client": client.name})
        if walk is not None:
            walk.claimed_by = client.name
            walk.warnings.append(f"client {client.name!r} gave no answer in {client.claim_timeout_s:g} s")
        return noted(Answer(504, (NO_STORE,)), walk)

    # -- 2 the record, then the events -----------------------------------------------------------

    def _run_claimed(
        self,
        container: Container,
        client: ContainerClient,
        request: IncomingRequest,
        claimed: Claimed,
        walk: Walk | None,
    ) -> Answer | Awaitable[Answer]:
        hit = Hit(container, client, request, claimed, walk, self._outbox)
        origin = request.header(b"origin")
        if origin is not None and not client.origins.allows(origin):
            return self._refuse(hit, Answer(403, (NO_STORE,)), "origin")
        self._counters.add("sgtm_requests_claimed_total", client.name)
        commit = None
        if claimed.events:
            try:
                record = record_of(request, claimed, container.version)
                hit.record_id, commit = self._outbox.append(record)
            except OutboxFull:
                return self._refuse(hit, Answer(503, (NO_STORE, ("Retry-After", "5"))), "outbox full")
        for index, data in enumerate(claimed.events):
            event = make_event(data, request, client.name, index)
            if claimed.repeat_keys and self._repeats.is_repeat(claimed.repeat_keys[index]):
                self._counters.add("sgtm_events_repeated_total", client.name)
                hit.walk_event(event, "dropped: the same hit had come before")
            else:
                self._run_event(hit, event)
        if not hit.pending:
            hit.tags_have_run()
        if (
            commit is None
            and not hit.pending
            and not hit.waits
            and not isinstance(claimed.answer, ServeScript)
        ):
            return finish_answer(hit)
        return self._answer_later(hit, commit)

    def _refuse(self, hit: Hit, answer: Answer, reason: str) -> Answer:
        self._counters.add("sgtm_requests_refused_total", reason)
        if hit.walk is not None:
            hit.walk.warnings.append(f"refused: {reason}")
        return noted(answer, hit.walk)

    # -- 3 one event: which tags fire ------------------------------------------------------------

    def _run_event(self, hit: Hit, event: Event) -> None:
        container = hit.container
        self._counters.add("sgtm_events_total", event.client_name)
        hit.walk_event(event)
        view = View(event, container)
        for tag in container.tags_for(event.name):
            walked = hit.walk_tag(tag.name)
            reason = held_back(hit, event, tag)
            if not reason:
                self._fire(hit, tag, view, walked)
                continue
            self._counters.add("sgtm_tags_blocked_total", tag.name)
            if walked is not None:
                walked.outcome, walked.reason = "blocked by consent", reason
        for name in view.failed_variables:
            self._counters.add("sgtm_variable_errors_total", name)

    def _fire(self, hit: Hit, tag: ContainerTag, view: View, walked: WalkedTag | None) -> None:
        try:
            result = tag.component.function(view.event, tag.parameters(view))
            if isinstance(result, Pending):
                hit.pending.append((tag, result, walked))
            else:
                self._deliver(hit, tag, result, walked)
        except Exception as error:
            self._tag_failed(hit, tag, error, walked)

    def _tag_failed(self, hit: Hit, tag: ContainerTag, error: Exception, walked: WalkedTag | None) -> None:
        hit.has_failed = True
        self._counters.add("sgtm_tags_failed_total", tag.name)
        # ParametersError is our own and names fields only; any other text may quote the event
        reason = str(error) if isinstance(error, ParametersError) else f"raised {type(error).__name__}"
        log.error("tag failed", extra={"tag": tag.name, "reason": reason})
        if walked is not None:
            walked.outcome, walked.reason = "failed", reason

    # -- 4 hand what the tag built to the lanes --------------------------------------------------

    def _deliver(
        self, hit: Hit, tag: ContainerTag, result: TagResult | list[Any], walked: WalkedTag | None
    ) -> None:
        if not isinstance(result, TagResult):
            result = TagResult(tuple(result))
        hit.cookies.extend(result.cookies)
        hit.pixels.extend(result.pixels)
        is_silent = bool(result.sends_nothing_because)
        self._counters.add("sgtm_tags_silent_total" if is_silent else "sgtm_tags_fired_total", tag.name)
        if result.warnings:
            self._counters.add("sgtm_tag_warnings_total", tag.name, len(result.warnings))
        for key in result.match_keys:
            self._counters.add("sgtm_match_keys_total", f"{tag.name}/{key}")
        if walked is not None:
            walked.note(result)
        latest = hit.request.received_micros + int(tag.delivery.expires_after_s * 1_000_000)
        for request in result.requests:
            expires = min(latest, request.expires_micros or latest)
            self._lanes.deliver(
                Delivery(
                    tag=tag.name,
                    component=tag.component,
                    request=request,
                    rules=tag.delivery,
                    on_settled=hit.owe(tag.name),
                    expires_micros=expires,
                    walked=walked.delivery(request) if walked is not None else None,
                )
            )

    # -- 5 the answer, when it has to wait -------------------------------------------------------

    async def _answer_later(self, hit: Hit, commit: Awaitable[None] | None) -> Answer:
        running = self._run_in_background(hit) if hit.pending else None
        try:
            async with asyncio.timeout(hit.client.claim_timeout_s):
                if commit is not None:
                    await commit
                if hit.waits:
                    if running is not None:
                        await asyncio.shield(running)
                    await hit.all_settled()
                if isinstance(hit.claimed.answer, ServeScript):
                    hit.script_answer = await self._script(hit.claimed.answer, hit.request)
        except TimeoutError:
            return self._timed_out(hit.client, hit.walk)
        return finish_answer(hit)

    async def _script(self, script: ServeScript, request: IncomingRequest) -> Answer:
        if self._serve_script is None:
            return Answer(501)
        return await self._serve_script(script, request)

    def _run_in_background(self, hit: Hit) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(self._run_pending(hit))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _run_pending(self, hit: Hit) -> None:
        async def resolve(tag: ContainerTag, result: Any, walked: WalkedTag | None) -> None:
            try:
                async with asyncio.timeout(PENDING_TIMEOUT_S):
                    while isinstance(result, Pending):
                        result = await result.awaitable
                self._deliver(hit, tag, result, walked)
            except Exception as error:
                self._tag_failed(hit, tag, error, walked)

        await asyncio.gather(*(resolve(*waiting) for waiting in hit.pending))
        hit.tags_have_run()


def sound(said: Any) -> Said:
    """What a client said, if it is one of the things a client can say. Raises TypeError."""
    if not isinstance(said, (Claimed, Declined, Pending)):
        raise TypeError("a client says Claimed, Declined or Pending")
    if isinstance(said, Claimed):
        if not all(isinstance(data, dict) for data in said.events):
            raise TypeError("event data are dicts")
        if said.repeat_keys and len(said.repeat_keys) != len(said.events):
            raise TypeError("there is one repeat key per event")
    return said


def held_back(hit: Hit, event: Event, tag: ContainerTag) -> str:
    """Why consent keeps the tag from firing, or "" when it may fire."""
    is_unset_granted = hit.container.is_unset_consent_granted
    missing = event.consent.missing(tag.required_consent, is_unset_granted=is_unset_granted)
    if missing:
        return f"consent not granted: {', '.join(missing)}"
    if not event.consent.is_update or hit.claimed.resent_hits == "fire" or tag.component.is_consent_aware:
        return ""
    newly_granted = event.consent.newly_granted()
    could_fire_before = not any(name in newly_granted for name in tag.required_consent)
    return "sent again after consent, and this tag fired the first time" if could_fire_before else ""


def noted(answer: Answer, walk: Walk | None) -> Answer:
    """The answer, put on the walk if there is one."""
    if walk is not None:
        walk.answer = answer
    return answer
