"""Events: what becomes of each event in a webhook, by rules that the container declares.

SPEC: requirements R75, R80, R84, R85, R87.
"""

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Annotated, Any

from msgspec import Meta, Struct

from sgtm.clients._webhook.fields import Entry, Target, Unfit, compile_fields, fill
from sgtm.clients._webhook.places import Read, Scope, compile_conditions, scalar_text
from sgtm.event import undefined
from sgtm.messages import EventData, IncomingRequest

Conditions = dict[str, Any]
MAX_NAME = 40
"""Of an event, as GA4 takes it."""
_NO_NAME = re.compile(r"[^0-9A-Za-z_]+")


class EventRule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which events of the sender become which event."""

    name: Annotated[
        str, Meta(min_length=1, description="Event name under Google's names.", examples=["purchase"])
    ]
    types: Annotated[tuple[str, ...], Meta(description="Types of the sender's; empty: any.")] = ()
    when: Annotated[
        Conditions,
        Meta(
            description="Place -> value or list of values; all must hold, as `{status: [paid, completed]}`."
        ),
    ] = {}
    fields: Annotated[
        dict[str, Entry],
        Meta(description="Key path of event data -> place of its value, or how it is made."),
    ] = {}


class Rule(Struct, frozen=True):
    """An EventRule, compiled."""

    name: str
    types: frozenset[str]
    holds: Callable[[Scope], bool]
    targets: tuple[Target, ...]


class EventRules(Struct, frozen=True):
    """All that is declared about the events of a client, compiled; see its parameters."""

    type_of: Read | None
    rules: tuple[Rule, ...]
    others: str
    targets: tuple[Target, ...]
    """Of events that no rule fits."""
    is_test: Callable[[Scope], bool] | None
    marks_tests: bool
    id_of: Read | None


def compile_rule(rule: EventRule, shared: Mapping[str, Entry]) -> Rule:
    """A rule with the fields that it shares with the others."""
    targets = compile_fields({**shared, **rule.fields})
    return Rule(rule.name, frozenset(rule.types), compile_conditions(rule.when), targets)


class Taking:
    """Makes event data of the events of one request. `said` is all that its sender has said, as it came."""

    def __init__(self, request: IncomingRequest, body: Any, said: bytes, rules: EventRules) -> None:
        self._request, self._body, self._said, self._rules = request, body, said, rules
        self.events: list[EventData] = []
        self.keys: list[str] = []
        self.remarks: list[str] = []
        self._is_any_understood, self._count = False, 0

    @property
    def is_understood(self) -> bool:
        """Whether the body is what is expected here: it is empty, or one event in it has a type."""
        return self._is_any_understood or not self._count

    def event(self, event: Any) -> None:
        """One event of the sender's: at most one of ours."""
        self._count += 1
        if not isinstance(event, dict):
            self.remarks.append("what should be an event is no mapping")
            return
        scope = Scope(self._request, self._body, event, event)
        type_ = _text(self._rules.type_of, scope)
        if self._rules.type_of is not None and not type_:
            self.remarks.append("an event has no type")
            return
        self._is_any_understood = True
        is_test = self._rules.is_test is not None and self._rules.is_test(scope)
        if is_test and not self._rules.marks_tests:
            self.remarks.append("ignored: a test")
            return
        rule = self._rule(type_, scope)
        if rule is None:
            self.remarks.append(f"ignored: no entry of `events` fits {_named(type_) or 'it'}")
            return
        self._add(rule, type_, scope, is_test=is_test)

    def _rule(self, type_: str, scope: Scope) -> Rule | None:
        for rule in self._rules.rules:
            if (not rule.types or type_ in rule.types) and rule.holds(scope):
                return rule
        name = self._rules.others.replace("{type}", _named(type_))[:MAX_NAME]
        return Rule(name, frozenset(), lambda _: True, self._rules.targets) if name else None

    def _add(self, rule: Rule, type_: str, scope: Scope, *, is_test: bool) -> None:
        id_ = _text(self._rules.id_of, scope)
        data: EventData = {"event_name": rule.name}
        fill(data, rule.targets, scope, self.remarks)
        if type_:
            data["x-webhook-type"] = type_
        if id_:
            data["x-webhook-id"] = id_
        if is_test:
            data["debug_mode"] = True
        self.events.append(data)
        self.keys.append(f"{type_} {self._key(id_)}".lstrip())

    def _key(self, id_: str) -> str:
        """What, beside its type, the event is known by when it is delivered again. An id of the whole request
        is one for each of its events; without any, the same body is the same events."""
        if not id_:
            return f"body {blake2b(self._said, digest_size=16).hexdigest()} {self._count}"
        of_request = _text(self._rules.id_of, Scope(self._request, self._body, undefined, undefined))
        return f"id {id_} {self._count}" if id_ == of_request else f"id {id_}"


def _text(read: Read | None, scope: Scope) -> str:
    if read is None:
        return ""
    try:
        value = read(scope)
    except Unfit:
        return ""
    return "" if value is undefined else scalar_text(value) or ""


def _named(type_: str) -> str:
    """A type as the name of an event."""
    return _NO_NAME.sub("_", type_).strip("_").lower()[:MAX_NAME]
