"""A walk as text for a terminal: client, event, tags, what each vendor received and answered."""

import json
import re
import textwrap
from contextlib import suppress
from urllib.parse import unquote_plus, urlsplit

from sgtm.messages import OutgoingRequest
from sgtm.observability.walk import Walk, WalkedDelivery, WalkedEvent, WalkedTag

WIDTH = 112
_DIGEST = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{56}\b")
_TELLING = (
    "client_id",
    "page_location",
    "transaction_id",
    "value",
    "currency",
    "event_id",
    "items",
    "user_data",
)


def show_walk(walk: Walk, title: str, note: str) -> str:
    """The whole walk of one request."""
    lines = ["", f"── {title} {'─' * max(3, WIDTH - len(title) - 4)}"]
    if note:
        lines.append(f"   {note}")
    lines.append(f"   request   {walk.method} {walk.path}" if walk.path else "   request")
    lines += [f"             {name} declined: {reason}" for name, reason in walk.declined]
    lines.append(f"   client    {walk.claimed_by or 'none claimed it'}")
    lines += [f"   warning   {warning}" for warning in walk.warnings]
    for event in walk.events:
        lines += _show_event(event)
    if walk.answer is not None:
        cookies = [value.partition("=")[0] for name, value in walk.answer.headers if name == "Set-Cookie"]
        sets = f", sets {', '.join(cookies)}" if cookies else ""
        lines.append(f"   answer    {walk.answer.status}{sets}")
    return "\n".join(map(inert, lines))


def inert(line: str) -> str:
    """What a requester or a vendor sent must not steer the terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


def _show_event(event: WalkedEvent) -> list[str]:
    telling = {key: event.data[key] for key in _TELLING if key in event.data}
    lines = _wrapped("   event     ", f"{event.name} {json.dumps(telling, ensure_ascii=False)}", most=4)
    if event.note:
        lines.append(f"             {event.note}")
    tags = [tag for tag in event.tags if tag.outcome != "not triggered"]
    if not tags:
        lines.append("             no tag fires on it")
    for tag in tags:
        lines += _show_tag(tag)
    return lines


def _show_tag(tag: WalkedTag) -> list[str]:
    lines = [f"   tag       {tag.name}: {tag.outcome}{f', {tag.reason}' if tag.reason else ''}"]
    lines += [f"             warning: {warning}" for warning in tag.warnings]
    if tag.match_keys:
        lines.append(f"             knows the person by {', '.join(tag.match_keys)}")
    for delivery in tag.deliveries:
        lines += _show_delivery(delivery)
    return lines


def _show_delivery(delivery: WalkedDelivery) -> list[str]:
    said = delivery.error or "nothing yet"
    if delivery.answer is not None:
        body = delivery.answer.body.decode("utf-8", "replace").strip()
        said = f"{delivery.answer.status} {body}".strip()
    return show_request(delivery.request, "received") + _wrapped(f"      {'answered':8} ", said)


def show_request(request: OutgoingRequest, word: str) -> list[str]:
    """One outgoing request, readable: where it goes, its query, its body."""
    url = urlsplit(request.url)
    lines = [f"      {word:8} {request.method} {url.scheme}://{url.netloc}{url.path}"]
    for text in (url.query, _content(request)):
        if text:
            lines += _wrapped(" " * 15, _readable(text))
    return lines


def _content(request: OutgoingRequest) -> str:
    return (request.item or request.body).decode("utf-8", "replace")


def _readable(text: str) -> str:
    """Decoded and with room to breathe; of a SHA-256 the beginning is enough."""
    if text.startswith(("{", "[")):
        with suppress(ValueError, RecursionError):  # a text of somebody's own that only begins so
            return _DIGEST.sub(r"\1…", json.dumps(json.loads(text), ensure_ascii=False))
    return unquote_plus(text.replace("&", "   "))


def _wrapped(prefix: str, text: str, most: int = 10) -> list[str]:
    lines = textwrap.wrap(
        " ".join(text.split()),
        WIDTH,
        initial_indent=prefix,
        subsequent_indent=" " * 15,
        break_on_hyphens=False,
    )
    return lines if len(lines) <= most else [*lines[:most], " " * 15 + "…"]
