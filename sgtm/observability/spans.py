"""Spans of chosen requests, sent by OpenTelemetry's own exporter: request -> tag -> each try at a vendor.

Imported only where `--trace-endpoint` asks for it: it needs `sgtm[otel]`. Spans leave in batches from a
thread of the library; where nobody takes them they are dropped, and no request waits. `traceparent` of a
trusted proxy is believed if `--trace-parents` says so (W3C Trace Context); it is never sent to vendors.
"""

import time

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace import Tracer as OtelTracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from sgtm import __version__
from sgtm.messages import IncomingRequest
from sgtm.observability.trace import ALL, Answered, Try, request_id
from sgtm.settings import Settings

_NO_CONTEXT = Context()
_EXPORT_S = 2.0
_EVERY_MS = 1_000


class Spans:
    """A Tracer that makes spans, for one worker."""

    def __init__(self, settings: Settings, slot: int) -> None:
        self._below = int(settings.trace_share * ALL)
        self._believes_parents = settings.trace_parents
        resource = Resource.create(
            {"service.name": "sgtm", "service.version": __version__, "service.instance.id": f"slot {slot}"}
        )
        exporter = OTLPSpanExporter(settings.trace_endpoint, timeout=_EXPORT_S)
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=_EVERY_MS))
        self._tracer = self._provider.get_tracer("sgtm", __version__)

    def begin(self, request: IncomingRequest, *, is_again: bool = False) -> "RequestSpan | None":
        """See Tracer. Who sends a trace that is believed decides; else the request's chance."""
        parent = self._parent(request)
        context = get_current_span(parent).get_span_context()
        is_chosen = context.trace_flags.sampled if context.is_valid else request.seed < self._below
        if not is_chosen:
            return None
        span = self._tracer.start_span(
            "sgtm request" if not is_again else "sgtm record",
            context=parent,
            kind=SpanKind.SERVER if not is_again else SpanKind.CONSUMER,
            start_time=time.time_ns() if is_again else request.received_micros * 1000,
            attributes={"sgtm.request": request_id(request)},
        )
        return RequestSpan(self._tracer, span)

    def close(self) -> None:
        """Send what is left. Waits for the exporter, some seconds at most: not for an event loop."""
        self._provider.shutdown()

    def _parent(self, request: IncomingRequest) -> Context:
        """Nobody's, or what a proxy that is believed says. A context of ours: no variable of the task has a
        say."""
        if not (self._believes_parents and request.is_peer_trusted):
            return _NO_CONTEXT
        carrier = {"traceparent": request.header(b"traceparent") or ""}
        return TraceContextTextMapPropagator().extract(carrier, _NO_CONTEXT)


class RequestSpan:
    """See Trace."""

    def __init__(self, tracer: OtelTracer, span: Span) -> None:
        self._tracer, self._span = tracer, span
        self._context = set_span_in_context(span, _NO_CONTEXT)

    def tag(self, name: str, event: str) -> "TagSpan":
        """See Trace."""
        span = self._tracer.start_span(
            f"tag {name}", context=self._context, attributes={"sgtm.tag": name, "sgtm.event": event}
        )
        return TagSpan(self._tracer, span)

    def answered(self, answered: Answered) -> None:
        """See Trace."""
        span = self._span
        span.set_attribute("sgtm.client", answered.client)
        span.set_attribute("sgtm.events", list(answered.events))
        if answered.status:
            span.update_name(f"{answered.method} {answered.path}".strip())
            span.set_attribute("http.request.method", answered.method)
            span.set_attribute("url.path", answered.path)
            span.set_attribute("http.response.status_code", answered.status)
        if answered.status >= 500:
            span.set_status(StatusCode.ERROR)
        span.end()


class TagSpan:
    """See TagTrace."""

    def __init__(self, tracer: OtelTracer, span: Span) -> None:
        self._tracer, self._span = tracer, span
        self._context = set_span_in_context(span, _NO_CONTEXT)

    def built(self, requests: int, failure: str = "") -> None:
        """See TagTrace."""
        self._span.set_attribute("sgtm.requests", requests)
        if failure:
            self._span.set_status(StatusCode.ERROR, failure)
        self._span.end()

    def tried(self, tried: Try) -> None:
        """See TagTrace."""
        scheme, _, address = tried.destination.partition("://")
        host, _, port = address.rpartition(":")
        span = self._tracer.start_span(
            f"send to {host}",
            context=self._context,
            kind=SpanKind.CLIENT,
            start_time=tried.begun_micros * 1000,
            attributes={
                "server.address": host.strip("[]"),
                "server.port": int(port or 0),
                "url.scheme": scheme,
                "http.request.resend_count": tried.number - 1,
                "sgtm.outcome": tried.outcome,
            },
        )
        if tried.status:
            span.set_attribute("http.response.status_code", tried.status)
        if tried.error:
            span.set_attribute("error.type", tried.error)
        if tried.outcome != "done":
            span.set_status(StatusCode.ERROR, tried.outcome)
        span.end((tried.begun_micros + tried.took_micros) * 1000)
