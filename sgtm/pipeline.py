"""THE page: what happens to a request, one function per hop, in the order in which it runs.

    run -> claim -> append the record -> make events -> prepare each -> fire its tags -> answer
                                                    \\-> first what its browser told (holding.py)

Which tags fire on an event, and what becomes of what they build, is the next page: `firing.py`.

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

from sgtm.answers import NO_STORE, finish_answer, hint_at_path, preflight, when_kept
from sgtm.container.container import Container, ContainerClient, Endpoint, View
from sgtm.context import NOT_ASKED
from sgtm.conversations import Conversations, Sends
from sgtm.delivery.outbox import Outbox, OutboxFull
from sgtm.delivery.outbox.memory import MemoryOutbox
from sgtm.event import Event, make_event
from sgtm.firing import HIT_BOUNDS, Firing, Lanes, Lookups
from sgtm.hit import Again, Debts, Hit, HitBounds, Run
from sgtm.holding import Holding
from sgtm.messages import (
    Answer,
    Claimed,
    Continuation,
    Conversation,
    Declined,
    IncomingRequest,
    Pending,
    Record,
    ServeScript,
    record_of,
)
from sgtm.observability.metrics import Counters
from sgtm.observability.trace import Tracers, request_id
from sgtm.observability.walk import Walk, WalkedEvent
from sgtm.once import Keys, unseen
from sgtm.preparing import prepared
from sgtm.refusals import OTHER_ORIGIN, dropped, is_of_other_origin, refusal
from sgtm.repeats import Repeats
from sgtm.said import Said, SecretOf, no_secret, sound
from sgtm.tally import Tally, harmless_method
from sgtm.unclaimed import Unclaimed, may_be_credentials

log = logging.getLogger("sgtm.pipeline")

ServeScripts = Callable[[ServeScript, IncomingRequest], Awaitable[Answer]]

_UNSEEN = Answer(204)
"""Of a record that is run again: nobody waits for it."""


class Pipeline:
    """The corridor from a request to its answer, for one worker. `container` may be swapped.

    Where it does not deliver, whoever takes up a record runs its tags (`run_again`); of those only what
    answers the browser runs here."""

    def __init__(
        self,
        container: Container,
        outbox: Outbox,
        lanes: Lanes,
        counters: Counters,
        serve_script: ServeScripts | None = None,
        lookups: Lookups | None = None,
        bounds: HitBounds = HIT_BOUNDS,
        keys: Keys | None = None,
        delivers: bool = True,
        secret_of: SecretOf = no_secret,
        holding: Holding | None = None,
        asks: Sends | None = None,
        tracers: Tracers | None = None,
    ) -> None:
        self.container, self._secret_of = container, secret_of
        self._outbox, self._counters, self._delivers = outbox, counters, delivers
        self._lookups, self._bounds, self._keys, self._holding = lookups, bounds, keys, holding
        self._tally = Tally(counters, tracers)
        self._asks, self._conversations = asks, Conversations(asks, counters, bounds)
        self._firing = Firing(lanes, counters, lookups, bounds, keys, self._conversations)
        self._unclaimed_letters = Unclaimed(outbox, counters)
        self._serve_script = serve_script
        self._repeats = Repeats()
        self._background: set[asyncio.Task[Answer]] = set()

    def run(self, request: IncomingRequest, walk: Walk | None = None) -> Answer | Awaitable[Answer]:
        """Take a request to its answer. An event keeps the container that it began with."""
        if walk is not None:
            walk.method, walk.path = request.method, request.path
        trace = self._tally.begins(request)
        run = Run(self.container, request, walk, delivers=self._delivers, trace=trace)
        if request.method == "OPTIONS":
            answer = preflight(self.container, request)
            if answer is not None:
                return self._tally.answered(answer, run)
        return self._claim(run, 0)

    async def run_again(
        self, record: Record, again: Again, container: Container | None = None, walk: Walk | None = None
    ) -> None:
        """Run a record once more: its tags fire, nothing is appended, nobody is answered. Done when the
        tags have run; what they owe is settled as ever. Never raises."""
        trace = self._tally.begins(record.request, is_again=True)
        run = Run(container or self.container, record.request, walk, again, trace=trace)
        answer = self._claim(run, 0)
        if isawaitable(answer):
            await answer
        self._tally.ran_again(run)

    def through(
        self, lanes: Lanes, container: Container | None = None, *, is_apart: bool = False, sends: bool = True
    ) -> "Pipeline":
        """The same, with other lanes, to which everything is delivered. Apart: what it does is neither kept
        in the outbox nor counted. What does not send takes nothing that others need, either."""
        return Pipeline(
            container or self.container,
            MemoryOutbox() if is_apart else self._outbox,
            lanes,
            Counters() if is_apart else self._counters,
            self._serve_script,
            self._lookups,
            self._bounds,
            self._keys if sends else None,
            secret_of=self._secret_of,
            holding=self._holding if sends else None,
            asks=self._asks if sends else None,
        )

    def endpoint(self, path: str, host: str) -> Endpoint | None:
        """Whose a request is that nobody has looked at yet."""
        return self.container.endpoint(path, host)

    def refuse(self, request: IncomingRequest) -> Answer | None:
        """Step 0, for the server alone: see `refusals.py`. A record that runs again was let in before."""
        return refusal(self.container, request, self._counters)

    def drop(self, request: IncomingRequest) -> Answer:
        """The answer of a hit that the server drops in silence."""
        return dropped(self.container, request)

    async def finish(self) -> None:
        """Wait for tags that are still pending; for an orderly end."""
        if self._background:
            await asyncio.wait(self._background)
        await self._conversations.all_sent()

    async def close(self) -> None:
        """End what is still pending. Its records have not run: whoever takes them up runs them again."""
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- 1 claim: the first client, in priority order, that takes the request --------------------

    def _claim(self, run: Run, first: int) -> Answer | Awaitable[Answer]:
        clients = run.container.clients
        for position in range(first, len(clients)):
            client = clients[position]
            said = self._ask(client, run)
            if isinstance(said, (Pending, Conversation)):
                return self._claim_later(run, position, said)
            if isinstance(said, Claimed):
                return self._run_claimed(run, client, said)
            if run.walk is not None:
                run.walk.declined.append((client.name, said.reason))
        return self._unclaimed(run)

    def _ask(self, client: ContainerClient, run: Run) -> Said:
        if client.hosts is not None and not client.hosts.serves(run.request.host):
            return Declined("the host is none of this client's hosts")
        try:
            if client.match is not None and (why := client.match.failure(run.request)):
                return Declined(why)
            return sound(client.component.function(run.request, client.parameters), self._secret_of)
        except Exception as error:
            return self._client_failed(run, client, error)

    def _client_failed(self, run: Run, client: ContainerClient, error: Exception) -> Declined:
        run.raised = f"client {client.name!r} raised {type(error).__name__}"
        self._counters.add("sgtm_client_errors_total", client.name)
        which = {"request": request_id(run.request), "client": client.name}
        log.error("client raised", extra={**which, "error": type(error).__name__})
        return Declined(f"raised {type(error).__name__}")

    async def _claim_later(self, run: Run, position: int, said: Said) -> Answer:
        client, walk = run.container.clients[position], run.walk
        try:
            async with asyncio.timeout(client.claim_timeout_s):
                while isinstance(said, (Pending, Conversation)):
                    waits = said.awaitable if isinstance(said, Pending) else self._conversations.finish(said)
                    said = sound(await waits, self._secret_of)
        except TimeoutError:
            return self._timed_out(client, run)
        except Exception as error:
            said = self._client_failed(run, client, error)
        if isinstance(said, Claimed):
            answer = self._run_claimed(run, client, said)
        else:
            if walk is not None:
                walk.declined.append((client.name, said.reason))
            answer = self._claim(run, position + 1)
        return await answer if isawaitable(answer) else answer

    def _unclaimed(self, run: Run) -> Answer:
        hint = hint_at_path(run.container, run.request)
        if run.again is not None:  # its client is gone: what it owes is for somebody to mend
            self._counters.add("sgtm_records_unclaimed_total")
            log.error("no client claims a record that is run again", extra={"hint": hint})
            self._unclaimed_letters.lost(run, run.again)
            debts: Debts = run.again.debts or self._outbox
            debts.ran(run.again.record_id, frozenset())
            for tag in run.again.only or ():
                debts.settle(run.again.record_id, tag)
            return _UNSEEN
        if run.raised:
            self._unclaimed_letters.raised(run)
        self._counters.add("sgtm_requests_unclaimed_total")
        log.info("no client claimed a request", extra={"method": harmless_method(run.request), "hint": hint})
        if run.walk is not None:
            run.walk.concealed = may_be_credentials(run.container)
            run.walk.warnings.append(f"no client claimed this request; {hint}")
        return self._tally.answered(Answer(run.container.unclaimed_status, (NO_STORE,)), run)

    def _timed_out(self, client: ContainerClient, of: Run | Hit) -> Answer:
        self._counters.add("sgtm_client_timeouts_total", client.name)
        log.error("client claimed a request and never answered it", extra={"client": client.name})
        if of.walk is not None:
            of.walk.claimed_by = client.name
            of.walk.concealed = may_be_credentials(of.container)
            of.walk.warnings.append(f"client {client.name!r} gave no answer in {client.claim_timeout_s:g} s")
        return self._tally.answered(Answer(504, (NO_STORE,)), of, client.name)

    # -- 2 the record, then the events -----------------------------------------------------------

    def _run_claimed(self, run: Run, client: ContainerClient, claimed: Claimed) -> Answer | Awaitable[Answer]:
        hit = Hit.of(run, client, claimed, self._outbox)
        if run.again is not None:
            self._run_events(hit)
            return self._run_pending(hit) if hit.pending else _UNSEEN
        if is_of_other_origin(client, run.request):
            return self._refuse(hit, Answer(403, (NO_STORE,)), OTHER_ORIGIN.reason)
        self._counters.add("sgtm_requests_claimed_total", client.name)
        if claimed.refusal:
            self._counters.add("sgtm_requests_refused_total", claimed.refusal)
            log.info("a client refused a request", extra={"client": client.name, "reason": claimed.refusal})
        if not hit.delivers and self._repeats.have_all(claimed.repeat_keys):
            self._counters.add("sgtm_events_repeated_total", client.name, len(claimed.events))
        elif claimed.events:
            try:
                record = record_of(run.request, claimed, run.container.version)
                hit.record_id, hit.commit = self._outbox.append(record)
            except OutboxFull:
                return self._refuse_full(hit)
        if hit.delivers or hit.container.answers_browser or claimed.goes_on is not None:
            self._run_events(hit)
        return self._answer(hit)

    def _run_events(self, hit: Hit) -> None:
        if hit.claimed.goes_on is not None:
            hit.pending.append(self._run_with_client(hit, hit.claimed.goes_on))
        elif hit.claimed.once_keys and self._keys is not None and hit.delivers:
            hit.pending.append(self._run_unseen(hit, self._keys))
        else:
            self._run_each(hit)
        if not hit.pending and hit.ends is not None:
            self._firing.tell_ends(hit)
        if not hit.pending:
            hit.tags_have_run()

    async def _run_unseen(self, hit: Hit, keys: Keys) -> None:
        """The events that their sender has not delivered before; none where their record was not kept."""
        first = await unseen(keys, hit)
        if first is not None:
            self._run_each(hit, first)

    def _run_each(self, hit: Hit, first: frozenset[int] | None = None) -> None:
        claimed = hit.claimed
        for index, data in enumerate(claimed.events):
            event = make_event(data, hit.request, hit.client.name, index)
            if hit.again is not None and not hit.again.wants(event):
                continue
            if first is not None and index not in first:
                self._repeated(hit, event, "dropped: its sender had delivered it before")
            # a record that is run again has passed this once
            elif (
                claimed.repeat_keys
                and hit.again is None
                and hit.delivers
                and self._repeats.is_repeat(claimed.repeat_keys[index])
            ):
                self._repeated(hit, event, "dropped: the same hit had come before")
            else:
                self._run_event(hit, event)

    async def _run_with_client(self, hit: Hit, goes_on: Continuation) -> None:
        """The events, then what the client's code does when their tags have run, until nothing is left."""
        events, ran = hit.claimed.events, 0
        while ran < len(events):
            goes_on.begins()
            new, ran = range(ran, len(events)), len(events)
            for index in new:
                event = make_event(events[index], hit.request, hit.client.name, index)
                if hit.again is None or hit.again.wants(event):
                    self._run_event(hit, event)
            await self._run_all(hit)
            goes_on.tags_have_run(hit.tags_of)
            await self._conversations.finish(goes_on, hit)
            events += goes_on.take_events()
            if hit.walk is not None:
                hit.walk.warnings += goes_on.console()

    def _repeated(self, hit: Hit, event: Event, note: str) -> None:
        self._counters.add("sgtm_events_repeated_total", hit.client.name)
        hit.walk_event(event, note)

    def _refuse_full(self, hit: Hit) -> Answer:
        return self._refuse(hit, Answer(503, (NO_STORE, ("Retry-After", "5"))), "outbox full")

    def _refuse(self, hit: Hit, answer: Answer, reason: str) -> Answer:
        self._counters.add("sgtm_requests_refused_total", reason)
        if hit.walk is not None:
            hit.walk.warnings.append(f"refused: {reason}")
        return self._tally.answered(answer, hit, hit.client.name)

    # -- 3 one event: what is made of it before its tags fire ------------------------------------

    def _run_event(self, hit: Hit, event: Event) -> None:
        if hit.delivers:
            self._tally.made(event)
        walked = hit.walk_event(event) if hit.walk is not None else None
        if hit.container.context is None or not self._goes_on_later(hit, event, walked):
            self._fire(hit, event, walked)

    def _goes_on_later(self, hit: Hit, event: Event, walked: WalkedEvent | None) -> bool:
        """Whether it waits for what its browser told, or for its counterpart; see `holding.py`."""
        if self._holding is None or not hit.delivers:
            if walked is not None:
                walked.note = walked.note or NOT_ASKED
            return False
        return self._holding.take(hit, event, walked, self._fire)

    def _fire(self, hit: Hit, event: Event, walked: WalkedEvent | None) -> None:
        first = View(event, hit.container)
        view = prepared(hit, first, walked, self._counters) if hit.container.preparations else first
        if view is not None:
            self._firing.fire_tags(hit, view, walked)

    # -- 4 the answer, here and now or when what it waits for is there ---------------------------

    def _answer(self, hit: Hit) -> Answer | Awaitable[Answer]:
        if (
            hit.waits
            or hit.waits_for_client
            or (hit.claimed.repeat_keys and hit.commit is not None)
            or isinstance(hit.claimed.answer, ServeScript)
        ):
            return self._answer_later(hit)
        if hit.pending:
            self._run_in_background(hit)
        if hit.commit is None:
            return self._finish(hit)
        return when_kept(
            hit.commit,
            lambda: self._finish(hit),
            lambda: self._refuse_full(hit),
            hit.client.claim_timeout_s,
            lambda: self._timed_out(hit.client, hit),
        )

    async def _answer_later(self, hit: Hit) -> Answer:
        running = self._run_in_background(hit) if hit.pending else None
        try:
            async with asyncio.timeout(hit.client.claim_timeout_s):
                if hit.commit is not None:
                    keys = hit.claimed.repeat_keys
                    if not keys:
                        await hit.commit
                    elif not await self._repeats.are_kept(keys, hit.commit, hit.delivers):
                        return self._refuse_full(hit)
                await self._all_that_the_answer_needs(hit, running)
        except TimeoutError:
            return self._timed_out(hit.client, hit)
        except OutboxFull:
            return self._refuse_full(hit)
        return self._finish(hit)

    async def _all_that_the_answer_needs(self, hit: Hit, running: asyncio.Task[Answer] | None) -> None:
        """Raises TimeoutError where it will never be there."""
        goes_on = hit.claimed.goes_on
        if running is not None and (hit.waits or goes_on is not None):
            await asyncio.shield(running)
        if hit.waits:
            await hit.all_settled()
        if isinstance(hit.claimed.answer, ServeScript):
            hit.later_answer = await self._script(hit.claimed.answer, hit.request)
        elif goes_on is not None:
            hit.later_answer = goes_on.answer
            if hit.later_answer is None:
                raise TimeoutError

    def _finish(self, hit: Hit) -> Answer:
        return self._tally.answered(finish_answer(hit), hit, hit.client.name)

    async def _script(self, script: ServeScript, request: IncomingRequest) -> Answer:
        if self._serve_script is None:
            return Answer(501)
        return await self._serve_script(script, request)

    def _run_in_background(self, hit: Hit) -> asyncio.Task[Answer]:
        task: asyncio.Task[Answer] = asyncio.ensure_future(self._run_pending(hit))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _run_pending(self, hit: Hit) -> Answer:
        await self._run_all(hit)
        hit.tags_have_run()
        return _UNSEEN

    async def _run_all(self, hit: Hit) -> None:
        while hit.pending:
            waiting, hit.pending = hit.pending, []
            await asyncio.gather(*waiting)
            if not hit.pending:
                self._firing.tell_ends(hit)
