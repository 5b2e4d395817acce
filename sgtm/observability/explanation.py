"""A walk told whole, for a person who wants to know why: `sgtm explain`.

Values are shown as JSON, so that a text, a number and what is missing cannot be confused.
"""

import json
from collections.abc import Iterator
from typing import Any

from sgtm.event import undefined
from sgtm.messages import EventData
from sgtm.observability.show import WIDTH, inert, show_request
from sgtm.observability.walk import (
    Walk,
    WalkedCondition,
    WalkedEvent,
    WalkedTag,
    WalkedTransformation,
    WalkedTrigger,
)


def explain_walk(walk: Walk) -> str:
    """The whole walk of one request, hop by hop."""
    return "\n".join(inert(line) for line in _lines(walk))


def shown(value: Any, most: int = 200) -> str:
    """A value as JSON; `undefined` for what is missing; the beginning of what is long."""
    if value is undefined:
        return "undefined"
    try:
        text = json.dumps(value, ensure_ascii=False, default=lambda other: f"<{type(other).__name__}>")
    except (ValueError, RecursionError):
        text = f"<{type(value).__name__}>"
    return text if len(text) <= most else f"{text[:most]}…"


def differences(before: EventData, after: EventData) -> list[str]:
    """What a step changed, a line for each key path: `+ key: value`, `- key: value`, `~ key: a -> b`."""
    return list(_differences(before, after, ""))


def _differences(before: Any, after: Any, path: str) -> Iterator[str]:
    if before is after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in (*before, *(key for key in after if key not in before)):
            yield from _differences(
                before.get(key, undefined), after.get(key, undefined), f"{path}.{key}" if path else str(key)
            )
    elif after is undefined:
        yield f"- {path}: {shown(before)}"
    elif before is undefined:
        yield f"+ {path}: {shown(after)}"
    elif shown(before) != shown(after) or type(before) is not type(after):
        yield f"~ {path}: {shown(before)} -> {shown(after)}"


def _lines(walk: Walk) -> Iterator[str]:
    yield f"request   {walk.method} {walk.path}"
    for name, reason in walk.declined:
        yield f"client    {name}: declined, {reason}"
    yield f"client    {walk.claimed_by}: claimed it" if walk.claimed_by else "client    none claimed it"
    for warning in walk.warnings:
        yield f"warning   {warning}"
    for event in walk.events:
        yield from _event(event)
    if walk.answer is not None:
        yield ""
        yield f"answer    {walk.answer.status}, {len(walk.answer.body)} bytes"
        for name, value in walk.answer.headers:
            yield f"          {name}: {value}"


def _event(event: WalkedEvent) -> Iterator[str]:
    yield ""
    yield f"── event {event.name} {'─' * max(3, WIDTH - len(event.name) - 10)}"
    if event.note:
        yield f"note      {event.note}"
    for key, value in event.data.items():
        origin = event.inherited.get(key)
        yield f"data      {key}: {shown(value)}{f'  (inherited from {origin})' if origin else ''}"
    for preparation in event.preparations:
        yield from _transformation(preparation, "prepared  ", "")
    for tag in event.tags:
        yield from _tag(tag)


def _tag(tag: WalkedTag) -> Iterator[str]:
    yield ""
    yield f"tag       {tag.name}: {tag.outcome}{f', {tag.reason}' if tag.reason else ''}"
    for trigger in tag.triggers:
        yield f"  trigger   {_trigger(trigger)}"
    for transformation in tag.transformations:
        yield from _transformation(transformation, "  changed   ", "  ")
    for variable in tag.variables:
        failed = " (it raised)" if variable.has_failed else ""
        yield f"  variable  {variable.name} = {shown(variable.value)}{failed}"
    for warning in tag.warnings:
        yield f"  warning   {warning}"
    for line in tag.console:
        yield f"  console   {line}"
    if tag.match_keys:
        yield f"  person    known by {', '.join(tag.match_keys)}"
    for delivery in tag.deliveries:
        yield from show_request(delivery.request, "sends")


def _trigger(trigger: WalkedTrigger) -> str:
    kind = "exception " if trigger.is_blocking else ""
    if trigger.has_matched:
        return f"{kind}{trigger.name}: matches"
    why = _condition(trigger.failed) if trigger.failed is not None else trigger.reason
    return f"{kind}{trigger.name}: does not match{f', {why}' if why else ''}"


def _condition(condition: WalkedCondition) -> str:
    if condition.error:
        return f"{condition.text} failed with {condition.error}"
    return f"{condition.text} is false: {shown(condition.value)} against {shown(condition.compared_with)}"


def _transformation(step: WalkedTransformation, label: str, indent: str) -> Iterator[str]:
    if not step.has_applied:
        why = _condition(step.failed) if step.failed is not None else step.reason
        yield f"{label}{step.name}: not applied{f', {why}' if why else ''}"
        return
    changes = differences(step.before, step.after)
    yield f"{label}{step.name}: {step.reason or ('applied' if changes else 'applied, and changed nothing')}"
    for change in changes:
        yield f"{indent}            {change}"
