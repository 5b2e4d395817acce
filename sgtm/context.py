"""Context: a browser's event is kept, an event without a browser gets what it lacks, before anything else
looks at it.

    browser's event --> save (a list; nothing waits) --> on, or held
    server's event  --> find --> what it lacks, and consent --> on, or held

What an event has is never overwritten. A value is inherited only where the event, with the consent that it
has then, may have it. Everything inherited is marked on the walk.

SPEC: requirements R308, R309.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from msgspec import Struct

from sgtm.consent import CONSENT_TYPES
from sgtm.delivery.context import ContextStore, ContextUnavailable
from sgtm.delivery.context.rows import Row, live_values
from sgtm.delivery.context.rules import CLIENT_ID, ContextRules
from sgtm.delivery.context.values import allowed_keys, consent_said
from sgtm.event import Event, make_event, set_value, undefined
from sgtm.hit import Hit, run_all
from sgtm.messages import EventData
from sgtm.observability.metrics import Counters
from sgtm.observability.walk import WalkedEvent

Fire = Callable[[Hit, Event, WalkedEvent | None], None]
"""Goes on with an event: preparations, triggers, tags."""
_SESSION = frozenset({"ga_session_id", "ga_session_number"})
NOT_ASKED = "what browsers told is not looked up here: the event has what it came with"


class Found(Struct):
    """What is known of an event's browser."""

    row: Row | None = None
    key: str = ""
    """Name of the key under which it stood."""
    is_unknown: bool = False
    """Nobody could be asked."""


class Context:
    """What happens to the events of one worker on the way to their tags."""

    def __init__(self, store: ContextStore, counters: Counters) -> None:
        self._store, self._counters = store, counters

    def save(self, hit: Hit, event: Event, rules: ContextRules) -> None:
        """Keep what a browser's event tells. A replay tells nothing new."""
        if hit.again is None or hit.again.debts is None:
            self._store.save(event, rules, is_unset_granted=hit.container.is_unset_consent_granted)

    def inherit(
        self, hit: Hit, event: Event, walked: WalkedEvent | None, fire: Fire
    ) -> Coroutine[Any, Any, None]:
        """Go on with a server's event when it has what is known of its browser."""

        async def run() -> None:
            await run_all(hit, fire, await self.completed(hit, event, walked), walked)

        return run()

    async def completed(
        self, hit: Hit, event: Event, walked: WalkedEvent | None, *, has_browser: bool = False
    ) -> Event:
        """The event with what it lacks. Never raises. `has_browser`: its browser has spoken, and where it
        said nothing of consent, no policy speaks for it."""
        rules = hit.container.context
        if rules is None:
            return event
        found = await self._found(event, rules)
        completed, said = complete(event, found, rules, has_browser=has_browser)
        self._counters.add("sgtm_context_consent_total", f"{event.client_name}/{said}")
        if walked is not None:
            walked.data = completed.data
            walked.inherited = inherited(event, completed, found, said)
            if found.is_unknown:
                walked.note = f"{walked.note}; the context store could not be asked".removeprefix("; ")
        return completed

    async def _found(self, event: Event, rules: ContextRules) -> Found:
        names = [name for name in (*rules.keys, CLIENT_ID) if rules.key_of(event, name) is not None]
        outcome, found = "no key", Found()
        if names:
            try:
                there = await self._store.find([key for name in names if (key := rules.key_of(event, name))])
            except ContextUnavailable:
                outcome, found = "not asked", Found(is_unknown=True)
            else:
                outcome = "nothing known"
                if there is not None and there[1].until > event.request.received_micros:
                    outcome, found = "found", Found(there[1], names[there[0]])
        self._counters.add("sgtm_context_events_total", f"{event.client_name}/{outcome}")
        return found


def complete(
    event: Event, found: Found, rules: ContextRules, *, has_browser: bool = False
) -> tuple[Event, str]:
    """The event with what it lacks, and whose consent it has: own, browser, policy."""
    data, said = _with_consent(event, found, rules, has_browser=has_browser)
    completed = event if data is event.data else _event_of(event, data)
    if found.row is None:
        return completed, said
    now = event.request.received_micros
    values = live_values(found.row, now, rules.ttl_micros)
    is_other = not _lacks(data, CLIENT_ID) and data[CLIENT_ID] != values.get(CLIENT_ID)
    for name in allowed_keys(rules, completed.consent):
        is_session = is_other and name in _SESSION
        if name in values and not is_session and _lacks(data, name):
            data = set_value(data, name, values[name])
    return (completed if data is completed.data else _event_of(event, data)), said


def _with_consent(
    event: Event, found: Found, rules: ContextRules, *, has_browser: bool
) -> tuple[EventData, str]:
    """The data with what is known of consent where the event itself says nothing of a type."""
    own = consent_said(event.consent)
    known = found.row.consent if found.row is not None else {}
    lacking = {name: known[name] for name in CONSENT_TYPES if name in known and name not in own}
    said = "own" if own else "browser" if known else "unset"
    if found.is_unknown and not has_browser:  # a refusal may stand there, whatever silence counts as
        lacking = {name: False for name in CONSENT_TYPES if name not in own}
        said = "own" if own else "policy: denied"
    elif not own and found.row is None and not has_browser:
        policy = rules.unknown_consent_of.get(event.client_name, rules.unknown_consent)
        said = f"policy: {policy}"
        if policy != "unset":
            lacking = dict.fromkeys(CONSENT_TYPES, policy == "granted")
    if not lacking:
        return event.data, said
    explicit = event.data.get("consent_state")
    before = explicit if isinstance(explicit, dict) else {}
    return {**event.data, "consent_state": {**before, **lacking}}, said


def inherited(event: Event, completed: Event, found: Found, said: str) -> dict[str, str]:
    """For somebody who looks: each key of event data that was inherited, and from where."""
    marks = {}
    for name, value in completed.data.items():
        if event.data.get(name, undefined) == value:
            continue
        kept = found.row.values.get(name) if found.row is not None else None
        if name == "consent_state":
            marks[name] = f"the browser, by {found.key}" if found.row is not None else said
            if found.is_unknown:
                marks[name] = "nobody: what was not granted is refused"
        elif kept is not None:
            age_s = (event.request.received_micros - kept.at) / 1e6
            marks[name] = f"the browser, by {found.key}, seen {_ago(age_s)}"
    return marks


def _ago(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= size:
            return f"{abs(seconds) / size:.0f} {unit} {'before' if seconds > 0 else 'after'}"
    return "just before" if seconds >= 0 else "just after"


def _lacks(data: EventData, name: str) -> bool:
    value = data.get(name)
    return value is None or value is undefined or value == ""


def _event_of(event: Event, data: EventData) -> Event:
    """The same event with other data: its consent is read again."""
    return make_event(data, event.request, event.client_name, event.index)
