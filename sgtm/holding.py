"""Holding: two events that are one, the browser's and the server's; one waits, one is sent.

    first half --meet--> waits: its record is not run yet --meet, now and then--> ends, when the other is sent
                                                          --time is over--------> sent alone, dropped, flagged
    second half --meet--> sent, with what both know

Nothing new makes this durable. A record whose events wait has not run, so the outbox keeps it and runs it
again after a crash; the store keeps who of the two is sent, and tells it the same record again. A half asks
only when its record is committed: so whoever is to be sent cannot be lost. The answer never waits.

SPEC: requirements R310; docs/context.md.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec
from msgspec import Struct

from sgtm.consent import read_consent
from sgtm.context import Context, Fire
from sgtm.delivery.context import ContextStore, ContextUnavailable
from sgtm.delivery.context.keys import pair_key
from sgtm.delivery.context.pairs import LATE, SAME_SIDE, Meeting, Met
from sgtm.delivery.context.rules import ContextRules, HoldRule, Side
from sgtm.delivery.context.values import Saver, consent_said, keys_saved
from sgtm.delivery.outbox import OutboxFull
from sgtm.event import Event, make_event
from sgtm.hit import Hit, run_all
from sgtm.messages import EventData
from sgtm.observability.metrics import Counters
from sgtm.observability.walk import WalkedEvent

log = logging.getLogger("sgtm.holding")

FIRST_LOOK_S, LONGEST_LOOK_S = 0.5, 30.0
"""How often a half that waits asks; a counterpart in the same worker wakes it."""
GRACE_MICROS = 30_000_000
"""After a restart a counterpart may stand behind, in another outbox: nobody gives up before that."""
PATIENCE_MICROS = 60_000_000
"""Where nobody can be asked, for so long after its time: then it is sent alone."""
_REMEMBERED_MICROS = 7 * 86_400_000_000
MISSING = ("x-sgtm-counterpart", "missing")
ENDS = "ends here: "
_CONSENT = ("consent_state", "x-ga-gcs", "x-ga-gcd", "x-ga-gcu", "x-ga-npa", "x-ga-mp2-gcut")


class Half(Struct):
    """An event that may have to wait."""

    hit: Hit
    event: Event
    walked: WalkedEvent | None
    rules: ContextRules
    rule: HoldRule
    side: Side
    key: bytes
    """Where it meets its counterpart."""
    deadline: int
    is_replay: bool

    @property
    def record(self) -> bytes:
        """Names the half: the same whenever its record runs."""
        request = self.event.request
        return b"%d.%d.%d" % (request.received_micros, request.seed, self.event.index)


class Holding:
    """The events of one worker that wait. `most`: how many may; one more does not wait."""

    def __init__(
        self,
        store: ContextStore,
        counters: Counters,
        most: int,
        now_micros: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        self._store, self._context, self._counters = store, Context(store, counters), counters
        self._most, self._now_micros, self._begun = most, now_micros, now_micros()
        self._waiting: dict[bytes, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_ending = False

    def __len__(self) -> int:
        """How many wait."""
        return len(self._tasks)

    def take(self, hit: Hit, event: Event, walked: WalkedEvent | None, fire: Fire) -> bool:
        """Whether the event goes on later, by `fire`: it waits for its counterpart, or for what is known of
        its browser. What a browser tells is kept on the way."""
        rules = hit.container.context
        side = rules.side_of(event.client_name) if rules is not None else None
        if rules is None or side is None:
            return False
        if side == "browser":
            self._context.save(hit, event, rules)
        half = self._half_of(hit, event, walked, side) if rules.holds else None
        if half is not None:
            self._hold(half, fire)
        elif side == "server":
            hit.pending.append(self._context.inherit(hit, event, walked, fire))
        return half is not None or side == "server"

    def _half_of(self, hit: Hit, event: Event, walked: WalkedEvent | None, side: Side) -> Half | None:
        """The event as a half of two; None where no rule holds it, or it has no key."""
        rules = hit.container.context
        rule = rules.hold_of(event) if rules is not None else None
        key = rules.key_of(event, rule.key) if rules is not None and rule is not None else None
        if rules is None or rule is None or key is None:
            return None
        is_replay = hit.again is not None and hit.again.debts is not None
        deadline = 0
        if rule.holds(side):
            deadline = event.request.received_micros + rule.wait_micros
            if hit.again is not None:
                deadline = max(deadline, self._begun + min(GRACE_MICROS, rule.wait_micros))
            if len(self._tasks) >= self._most:
                self._counters.add("sgtm_holds_total", f"{rule.name}/no room")
                deadline = 0
        key = pair_key(rule.name, event.name, key)
        return Half(hit, event, walked, rules, rule, side, key, deadline, is_replay)

    def _hold(self, half: Half, fire: Fire) -> None:
        """Go on with the half when it is known what becomes of it. Its record has not run before that."""
        half.hit.has_part()
        if half.is_replay:  # nothing waits, and whoever replays wants to know what becomes of it
            half.hit.pending.append(self._run(half, fire))
            return
        task = asyncio.ensure_future(self._run(half, fire))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self, *, are_kept: bool) -> None:
        """Nothing waits any more. `are_kept`: another process runs the records again; otherwise the time of
        all is over."""
        self._is_ending = True
        if are_kept:
            for task in self._tasks:
                task.cancel()
        for event in self._waiting.values():
            event.set()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # -- one half --------------------------------------------------------------------------------

    async def _run(self, half: Half, fire: Fire) -> None:
        try:
            if half.hit.commit is not None:
                await half.hit.commit
        except OutboxFull:  # its sender comes again
            return
        met = await self._meet(half)
        try:
            if met.verdict == "end":
                self._ended(half, met)
            else:
                await self._go_on(half, met, fire)
        except Exception as error:
            log.error("an event that waited failed", extra={"error": type(error).__name__})
            reason = f"raised {type(error).__name__} when it had waited"
            half.hit.build_failed("", half.event.index, reason)
        half.hit.tags_have_run()

    async def _meet(self, half: Half) -> Met:
        """What becomes of it, as soon as that is known."""
        data, look_s = _left(half), FIRST_LOOK_S
        while True:
            now = self._now_micros()
            deadline = 0 if self._is_ending else half.deadline
            try:
                met = await self._store.meet(_meeting(half, data, now, deadline))
            except ContextUnavailable:
                if self._is_ending or now > max(half.deadline, half.event.request.received_micros) + (
                    PATIENCE_MICROS
                ):
                    return Met("alone")
                met = Met("wait")
            if met.verdict != "wait":
                if met.verdict == "merge" and (waiting := self._waiting.get(half.key)) is not None:
                    waiting.set()
                return met
            left_s = (half.deadline - now) / 1e6 if half.deadline > now else look_s
            await self._wait(half, min(look_s, left_s + 0.001))
            look_s = min(look_s * 2, LONGEST_LOOK_S)

    async def _wait(self, half: Half, seconds: float) -> None:
        if half.walked is not None:
            half.walked.note = f"waits for its counterpart, by the rule {half.rule.name!r}"
        event = self._waiting.setdefault(half.key, asyncio.Event())
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await event.wait()
        finally:
            if self._waiting.get(half.key) is event:
                del self._waiting[half.key]

    def _ended(self, half: Half, met: Met) -> None:
        outcome = {LATE: "late", SAME_SIDE: "repeated"}.get(met.reason, "")
        if outcome or met.reason.startswith("dropped"):
            self._counters.add("sgtm_holds_total", f"{half.rule.name}/{outcome or 'dropped'}")
        if half.walked is not None:
            half.walked.note = f"{ENDS}{met.reason}"

    async def _go_on(self, half: Half, met: Met, fire: Fire) -> None:
        event, hit, walked = half.event, half.hit, half.walked
        if met.verdict == "merge":
            event = merged(half, *_read(met.data))
        elif half.deadline and half.rule.at_timeout == "flag":
            event = make_event(
                {**event.data, MISSING[0]: MISSING[1]}, event.request, event.client_name, event.index
            )
        if not half.is_replay:
            outcome = "merged" if met.verdict == "merge" else "alone" if half.deadline else "not held"
            self._counters.add("sgtm_holds_total", f"{half.rule.name}/{outcome}")
        if walked is not None:
            told = {"merge": "sent with what its counterpart knew", "alone": "sent without counterpart"}
            walked.note, walked.data = told[met.verdict], event.data
        if half.side == "server" or met.verdict == "merge":
            has_browser = met.verdict == "merge"
            event = await self._context.completed(hit, event, walked, has_browser=has_browser)
        await run_all(hit, fire, event, walked)


def _meeting(half: Half, data: bytes, now: int, deadline: int) -> Meeting:
    kept = max(half.rules.ttl_micros, _REMEMBERED_MICROS)
    return Meeting(
        key=half.key,
        record=half.record,
        side=half.side,
        data=data,
        now=now,
        deadline=deadline,
        until=max(now, half.deadline) + kept,
        drops=bool(half.deadline) and half.rule.at_timeout == "drop",
        peeks=half.is_replay,
    )


# -- what a half leaves, and what is made of both ----------------------------------------------------


def _left(half: Half) -> bytes:
    """What the half leaves for its counterpart: its client and data, and of a browser also what its cookies
    tell. Empty data where they cannot be kept."""
    data, event = half.event.data, half.event
    if half.side == "browser":
        is_unset_granted = half.hit.container.is_unset_consent_granted
        snapshot = Saver(half.rules, is_unset_granted=is_unset_granted).snapshot(event)
        values = snapshot.values if snapshot is not None else {}
        data = {**{name: kept.value for name, kept in values.items()}, **data}
    try:
        return msgspec.msgpack.encode((event.client_name, data))
    except (TypeError, ValueError, RecursionError, OverflowError):
        return msgspec.msgpack.encode((event.client_name, {}))


def _read(left: bytes) -> tuple[str, EventData]:
    try:
        return msgspec.msgpack.decode(left, type=tuple[str, EventData])
    except msgspec.DecodeError:  # erased meanwhile
        return "", {}


def merged(half: Half, other_client: str, other: EventData) -> Event:
    """One event of two. What only one has is kept; where both have a value the rule decides, but what is
    saved of browsers, and consent, is the browser's; what either refuses is refused."""
    own, rules = half.event.data, half.rules
    browser, server = (own, other) if half.side == "browser" else (other, own)
    sides = {"browser": browser, "server": server}
    preferred = sides[half.rule.prefer]
    rest = server if preferred is browser else browser
    data = {**rest, **{key: value for key, value in preferred.items() if _is_value(value) or key not in rest}}
    for key in keys_saved(rules):
        if _is_value(browser.get(key)):
            data[key] = browser[key]
    if any(key in browser for key in _CONSENT):
        data = {key: value for key, value in data.items() if key not in _CONSENT or key in browser}
        data.update({key: browser[key] for key in _CONSENT if key in browser})
        data |= _refused_too(data, server)
    for key, side in half.rule.fields.items():
        if _is_value(sides[side].get(key)):
            data[key] = sides[side][key]
    is_own = half.rule.prefer == half.side or not other_client
    client_name = half.event.client_name if is_own else other_client
    return make_event(data, half.event.request, client_name, half.event.index)


def _refused_too(data: EventData, server: EventData) -> EventData:
    """Consent that the server's half refuses, whatever the browser's had said: nobody may be sent anywhere
    because only one of the two had heard of his refusal."""
    refused = {
        name: False for name, is_granted in consent_said(read_consent(server)).items() if not is_granted
    }
    if not refused:
        return {}
    explicit = data.get("consent_state")
    return {"consent_state": {**(explicit if isinstance(explicit, dict) else {}), **refused}}


def _is_value(value: object) -> bool:
    return value is not None and value != ""
