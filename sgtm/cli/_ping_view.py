"""What became of a ping, hop by hop, and what of it is wrong."""

from collections.abc import Iterator

from msgspec import Struct

from sgtm.preview.view import DeliveryPart, RequestView, TagPart


class Hop(Struct, frozen=True):
    """One line: `is_wrong` is what the exit status is made of; None: it only tells."""

    name: str
    text: str
    is_wrong: bool | None = False

    def __str__(self) -> str:
        mark = {None: "", False: "ok", True: "WRONG"}[self.is_wrong]
        return f"{self.name:9} {mark:5}  {self.text}"


def hops(view: RequestView, *, sends: bool) -> Iterator[Hop]:
    """All hops of a request, in the order in which it passes them."""
    yield Hop("request", f"{view.request.method} {view.summary.path}, worker {view.summary.worker}", None)
    for one in view.declined:
        yield Hop("", f"{one.client} declined: {one.reason}", None)
    claimed = view.claimed_by
    mend = "no client claimed it: give a hit that your clients know, --file FILE.http"
    yield Hop("client", claimed or mend, not claimed)
    yield from (Hop("warning", line, None) for line in view.warnings)
    for event in view.events:
        yield Hop("event", f"{event.name}{f': {event.note}' if event.note else ''}", None)
        for tag in event.tags:
            yield from _tag(tag, sends=sends)
    if not view.events and claimed:
        yield Hop("event", "the client made none of it", None)
    if view.answer is not None:
        status, took = view.answer.status, _ms(view.summary.took_micros)
        yield Hop("answer", f"{status} within {took}, {len(view.answer.cookies)} cookies", status >= 400)


def _tag(tag: TagPart, *, sends: bool) -> Iterator[Hop]:
    reason = f" ({tag.reason})" if tag.reason else ""
    is_wrong = {"failed": True, "fired": False}.get(tag.group)
    yield Hop("tag", f"{tag.name}: {tag.outcome}{reason}", is_wrong)
    yield from (Hop("", f"  {line}", None) for line in tag.warnings)
    for delivery in tag.deliveries:
        where = f"  {delivery.method} {delivery.url.partition('?')[0]}"
        if not sends:
            yield Hop("delivery", f"{where}: built, not sent", None)
        else:
            yield Hop("delivery", f"{where}: {_end(delivery)}", delivery.outcome != "done")


def _end(delivery: DeliveryPart) -> str:
    if not delivery.outcome:
        return "not settled in time; `sgtm top` shows how the destination is"
    status = f"HTTP {delivery.status}" if delivery.status else delivery.error or delivery.outcome
    reason = f", {delivery.reason}" if delivery.reason else ""
    return f"{status}{reason}, attempt {delivery.attempts}, {_ms(delivery.took_micros)}"


def _ms(micros: int) -> str:
    return f"{micros / 1000:.1f} ms"
