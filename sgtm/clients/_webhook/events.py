"""Events: what becomes of each event in a webhook, by rules that the container declares.

SPEC: requirements R75, R80, R84, R85, R87.
"""

import re
from hashlib import blake2b
from typing import Annotated, Any

from msgspec import Meta, Struct

from sgtm.clients._webhook.fields import Entry, Unfit, fill, value_of
from sgtm.clients._webhook.places import Scope, holds, scalar_text
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


class EventRules(Struct, frozen=True):
    """All that is declared about the events of a client; see its parameters."""

    event_type: Entry | None
    events: tuple[EventRule, ...]
    fields: dict[str, Entry]
    others: str
    test_when: Conditions
    marks_tests: bool
    delivery_id: Entry | None


class Taking:
    """Makes event data of the events of one request."""

    def __init__(self, request: IncomingRequest, body: Any, rules: EventRules) -> None:
        self._request, self._body, self._rules = request, body, rules
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
        type_ = self._text(self._rules.event_type, scope)
        if self._rules.event_type is not None and not type_:
            self.remarks.append("an event has no type")
            return
        self._is_any_understood = True
        is_test = bool(self._rules.test_when) and holds(self._rules.test_when, scope)
        if is_test and not self._rules.marks_tests:
            self.remarks.append("ignored: a test")
            return
        rule = self._rule(type_, scope)
        if rule is None:
            self.remarks.append(f"ignored: no entry of `events` fits {_named(type_) or 'it'}")
            return
        self._add(rule, type_, scope, is_test=is_test)

    def _rule(self, type_: str, scope: Scope) -> EventRule | None:
        for rule in self._rules.events:
            if (not rule.types or type_ in rule.types) and holds(rule.when, scope):
                return rule
        name = self._rules.others.replace("{type}", _named(type_))[:MAX_NAME]
        return EventRule(name=name) if name else None

    def _add(self, rule: EventRule, type_: str, scope: Scope, *, is_test: bool) -> None:
        id_ = self._text(self._rules.delivery_id, scope)
        data: EventData = {"event_name": rule.name}
        for flaw in fill(data, {**self._rules.fields, **rule.fields}, scope):
            self.remarks.append(flaw)
        data |= {"x-webhook-type": type_} if type_ else {}
        data |= {"x-webhook-id": id_} if id_ else {}
        if is_test:
            data["debug_mode"] = True
        self.events.append(data)
        self.keys.append(self._key(id_))

    def _key(self, id_: str) -> str:
        """What the event is known by when it is delivered again. An id of the whole request is one for each
        of its events; without any, the same body is the same events."""
        if not id_:
            said = self._request.query + b"\0" + self._request.body
            return f"body {blake2b(said, digest_size=16).hexdigest()} {self._count}"
        of_request = self._text(
            self._rules.delivery_id, Scope(self._request, self._body, undefined, undefined)
        )
        return f"id {id_} {self._count}" if id_ == of_request else f"id {id_}"

    def _text(self, entry: Entry | None, scope: Scope) -> str:
        if entry is None:
            return ""
        try:
            value = value_of(entry, scope)
        except Unfit:
            return ""
        return "" if value is undefined else scalar_text(value) or ""


def _named(type_: str) -> str:
    """A type as the name of an event."""
    return _NO_NAME.sub("_", type_).strip("_").lower()[:MAX_NAME]
