"""A walk becomes a view: plain, masked, and no larger than a page can hold.

    summary_of(walk, request, seen)            a line of the list
    view_of(walk, request, seen, container)    everything

`Seen` is what the server knows of a request beside its walk. Pure, and never raises on any event data.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from sgtm.container.container import Container
from sgtm.messages import Answer, IncomingRequest, OutgoingRequest
from sgtm.observability.walk import (
    TimedWalk,
    Walk,
    WalkedCondition,
    WalkedDelivery,
    WalkedEvent,
    WalkedTag,
    WalkedTransformation,
    WalkedTrigger,
    WalkedVariable,
)
from sgtm.preview import view
from sgtm.preview.masking import Masks, beginning
from sgtm.preview.plain import MOST_TEXT, as_text, bounded, cut, differences, plain, type_name
from sgtm.templates import adapt

MOST_BODY = 64 * 1024
MOST_ANSWER = 16 * 1024
MOST_LINES = 500
MOST_EVENT_NAMES = 25
MOST_PATH = 300
_WRITTEN = "console: "
"""How a warning begins that is a line which the template of a client wrote."""


class Seen(Struct, frozen=True):
    """What the server knows of a request beside its walk."""

    id: str
    source: view.Source
    worker: int = 0
    took_micros: int = 0
    """From receipt to answer."""
    secrets: tuple[str, ...] = ()
    """Values of the process's own secrets: they are shown nowhere."""


def summary_of(walk: Walk, request: IncomingRequest, seen: Seen) -> view.Summary:
    """A line of the list: paths and names, of which the look-back shows none that looks like a person's."""
    hides_persons = seen.source == "lookback"
    tags, deliveries = view.TagCounts(), view.DeliveryCounts()
    for tag in _tags(walk):
        match _group(tag):
            case "fired":
                tags.fired += 1
            case "failed":
                tags.failed += 1
            case "held":
                tags.held += 1
            case _:
                tags.not_fired += 1
        for delivery in tag.deliveries:
            _count(delivery, deliveries)
    return view.Summary(
        id=seen.id,
        at_micros=request.received_micros,
        worker=seen.worker,
        method=walk.method or request.method,
        path=beginning(walk.path or request.path, MOST_PATH, hides_persons),
        client=walk.claimed_by,
        events=[beginning(event.name, MOST_PATH, hides_persons) for event in walk.events[:MOST_EVENT_NAMES]],
        tags=tags,
        status=walk.answer.status if walk.answer is not None else 0,
        took_micros=seen.took_micros,
        deliveries=deliveries,
        source=seen.source,
        search=" ".join(dict.fromkeys(_search_words(walk))),
    )


def view_of(walk: Walk, request: IncomingRequest, seen: Seen, container: Container) -> view.RequestView:
    """The whole walk. What the look-back ring holds was not sent by who looks: personal data are masked."""
    if walk.recorded_body is not None:
        request = replace(request, body=walk.recorded_body)
    masks = Masks(
        request,
        [event.data for event in walk.events],
        concealed=walk.concealed,
        secrets=seen.secrets,
        hides_persons=seen.source == "lookback",
    )
    return _Encoding(masks, request, container).whole(walk, seen)


class _Encoding:
    """One walk on its way to a view."""

    def __init__(self, masks: Masks, request: IncomingRequest, container: Container) -> None:
        self._masks, self._request, self._container = masks, request, container
        self._types = {variable.name: variable.type for variable in container.variables}

    def whole(self, walk: Walk, seen: Seen) -> view.RequestView:
        """All of it."""
        masks = self._masks
        summary = summary_of(walk, self._request, seen)
        summary.path, summary.search = masks.text(summary.path), masks.text(summary.search)
        return view.RequestView(
            summary=summary,
            container_version=self._container.version,
            request=self._incoming(),
            declined=[view.DeclinedPart(name, masks.text(reason)) for name, reason in walk.declined],
            claimed_by=walk.claimed_by,
            warnings=self._lines([line for line in walk.warnings if not line.startswith(_WRITTEN)]),
            console=self._lines(
                [line.removeprefix(_WRITTEN) for line in walk.warnings if line.startswith(_WRITTEN)]
            ),
            events=[self._event(event) for event in walk.events],
            answer=self._answer(walk.answer) if walk.answer is not None else None,
            timing=list(self._timing(walk, seen)),
        )

    # -- the request and its answer --------------------------------------------------------------

    def _incoming(self) -> view.RequestPart:
        request, masks = self._request, self._masks
        query = f"?{request.query.decode('utf-8', 'replace')}" if request.query else ""
        return view.RequestPart(
            method=request.method,
            url=masks.form(f"{request.scheme}://{request.host}{request.path}{query}"),
            headers=self._headers((as_text(name), as_text(value)) for name, value in request.headers),
            body=cut(masks.content(as_text(request.body)), MOST_BODY),
            remote_address=masks.named("remote_address", request.remote_address),
            body_bytes=len(request.body),
            has_secrets=masks.has_secrets,
        )

    def _headers(self, pairs: Iterable[tuple[str, str]]) -> view.Headers:
        masks = self._masks
        return [(masks.name(name), cut(masks.header(name, value), MOST_TEXT)) for name, value in pairs]

    def _answer(self, answer: Answer) -> view.AnswerPart:
        is_cookie = [name.lower() == "set-cookie" for name, _ in answer.headers]
        shown = self._headers(answer.headers)
        cookies = [value for (_, value), is_one in zip(shown, is_cookie, strict=True) if is_one]
        return view.AnswerPart(
            status=answer.status,
            headers=[pair for pair, is_one in zip(shown, is_cookie, strict=True) if not is_one],
            cookies=[_cookie(value) for value in cookies],
            body=cut(self._masks.content(as_text(answer.body)), MOST_ANSWER),
            body_bytes=len(answer.body),
        )

    # -- events and tags -------------------------------------------------------------------------

    def _event(self, event: WalkedEvent) -> view.EventPart:
        return view.EventPart(
            name=self._masks.name(event.name),
            note=self._masks.text(event.note),
            data=self._plain(event.data),
            preparations=[self._change(one) for one in event.preparations],
            tags=[self._tag(tag) for tag in event.tags],
            inherited=event.inherited,
        )

    def _tag(self, tag: WalkedTag) -> view.TagPart:
        compiled = self._container.tags_by_name.get(tag.name)
        return view.TagPart(
            name=tag.name,
            type=compiled.component.type if compiled is not None else "",
            outcome=tag.outcome,
            group=_group(tag),
            reason=self._masks.text(tag.reason),
            triggers=[self._trigger(one) for one in tag.triggers],
            transformations=[self._change(one) for one in tag.transformations],
            variables=[self._variable(one) for one in tag.variables],
            warnings=self._lines(tag.warnings),
            console=self._lines(tag.console),
            match_keys=[*tag.match_keys],
            deliveries=[self._delivery(one, tag.name) for one in tag.deliveries],
            is_template=compiled is not None and compiled.component.module == adapt.__name__,
        )

    def _trigger(self, trigger: WalkedTrigger) -> view.TriggerPart:
        return view.TriggerPart(
            trigger.name,
            trigger.has_matched,
            trigger.is_blocking,
            self._condition(trigger.failed),
            self._masks.text(trigger.reason),
        )

    def _condition(self, condition: WalkedCondition | None) -> view.FailedCondition | None:
        if condition is None:
            return None
        return view.FailedCondition(
            condition.text,
            self._plain(condition.value),
            self._plain(condition.compared_with),
            condition.error,
        )

    def _change(self, step: WalkedTransformation) -> view.Change:
        changes = [
            view.Difference(kind, self._masks.name(path), self._named(path, before), self._named(path, after))
            for kind, path, before, after in differences(step.before, step.after)
        ]
        reason = self._masks.text(step.reason)
        return view.Change(step.name, step.has_applied, changes, self._condition(step.failed), reason)

    def _variable(self, variable: WalkedVariable) -> view.VariablePart:
        return view.VariablePart(
            name=variable.name,
            type=self._types.get(variable.name, ""),
            value=self._named(variable.name, variable.value),
            value_type=type_name(variable.value),
            failed=variable.has_failed,
        )

    # -- deliveries ------------------------------------------------------------------------------

    def _delivery(self, delivery: WalkedDelivery, tag: str) -> view.DeliveryPart:
        request = self._on_the_wire(delivery.request, tag)
        use, answer, outcome = request.credential, delivery.answer, delivery.outcome
        return view.DeliveryPart(
            method=request.method,
            url=self._masks.form(request.url),
            headers=self._headers(request.headers),
            body=cut(self._masks.content(as_text(request.body or request.item)), MOST_BODY),
            body_bytes=len(request.body or request.item),
            credential=use.name if use is not None else "",
            credential_place=f"{use.place} {use.key}" if use is not None else "",
            status=answer.status if answer is not None else None,
            answer_headers=self._headers(answer.headers) if answer is not None else [],
            answer_body=cut(self._masks.content(as_text(answer.body)), MOST_ANSWER)
            if answer is not None
            else "",
            outcome=outcome.kind if outcome is not None else "",
            reason=self._masks.text(outcome.reason) if outcome is not None else "",
            error=delivery.error,
            attempts=delivery.attempts,
            begun_micros=self._offset(delivery.begun_micros) if delivery.begun_micros else -1,
            took_micros=delivery.took_micros,
            tries=[
                view.TryPart(
                    self._offset(one.begun_micros),
                    one.took_micros,
                    one.status,
                    one.outcome.kind,
                    self._masks.text(one.outcome.reason),
                    one.error,
                )
                for one in delivery.tries
            ],
        )

    def _on_the_wire(self, request: OutgoingRequest, tag: str) -> OutgoingRequest:
        """A request of a tag that batches, as it would go if it travelled alone."""
        compiled = self._container.tags_by_name.get(tag)
        if request.body or not request.item or compiled is None or compiled.component.envelope is None:
            return request
        try:
            alone: OutgoingRequest = compiled.component.envelope([request])
        except Exception:  # of a component: the item itself is shown
            return request
        return alone

    def _timing(self, walk: Walk, seen: Seen) -> Iterator[view.Span]:
        yield view.Span("request", "request", 0, seen.took_micros)
        for span in walk.spans if isinstance(walk, TimedWalk) else ():
            yield view.Span(span.what, "hop", self._offset(span.begin_micros), self._offset(span.end_micros))
        for tag in _tags(walk):
            for delivery in tag.deliveries:
                for number, one in enumerate(delivery.tries, delivery.attempts - len(delivery.tries) + 1):
                    begun = self._offset(one.begun_micros)
                    host = urlsplit(delivery.request.url).netloc
                    attempt = f" {number}/{delivery.attempts}" if delivery.attempts > 1 else ""
                    what, end = f"{tag.name}{attempt} → {host}", begun + one.took_micros
                    yield view.Span(what, "delivery", begun, end, one.outcome.kind)

    def _offset(self, micros: int) -> int:
        return max(0, micros - self._request.received_micros)

    # -- values ----------------------------------------------------------------------------------

    def _lines(self, lines: list[str]) -> list[str]:
        shown = [cut(self._masks.text(str(line)), MOST_TEXT) for line in lines[:MOST_LINES]]
        left_out = len(lines) - len(shown)
        return [*shown, f"… and {left_out} more"] if left_out else shown

    def _plain(self, value: Any) -> Any:
        return plain(self._masks.data(bounded(value)))

    def _named(self, path: str, value: Any) -> Any:
        """The value that stands at a key path, or of a variable."""
        name = "user_data" if path.startswith("user_data") else path.rpartition(".")[2]
        return plain(self._masks.data(bounded(value), name))


# -- what a tag and a delivery count as ------------------------------------------------------------

_GROUPS: dict[str, Literal["fired", "failed", "held", "not"]] = {
    "fired": "fired",
    "failed": "failed",
    "sent nothing": "held",
    "blocked by consent": "held",
    "held back": "held",
}


def _group(tag: WalkedTag) -> Literal["fired", "failed", "held", "not"]:
    return _GROUPS.get(tag.outcome, "not")


def _count(delivery: WalkedDelivery, counts: view.DeliveryCounts) -> None:
    kind = delivery.outcome.kind if delivery.outcome is not None else ""
    if kind == "done":
        counts.done += 1
    elif kind == "dead":
        counts.failed += 1
    else:
        counts.waiting += 1


def _tags(walk: Walk) -> Iterator[WalkedTag]:
    for event in walk.events:
        yield from event.tags


def _search_words(walk: Walk) -> Iterator[str]:
    for tag in _tags(walk):
        if _group(tag) != "not":
            yield tag.name
        for delivery in tag.deliveries[:MOST_EVENT_NAMES]:
            yield urlsplit(delivery.request.url).netloc


def _cookie(value: str) -> view.CookiePart:
    pair, *attributes = value.split("; ")
    name, _, content = pair.partition("=")
    return view.CookiePart(name, content, attributes)
