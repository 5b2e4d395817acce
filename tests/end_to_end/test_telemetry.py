"""Log lines and traces of requests on their way to vendors (SPEC: R227, R228, R231; reliability 6, logs)."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from conftest import Serve
from doubles import eventually
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from processes import TWO_VENDORS, Server, until
from raw_http import ask

from sgtm.demo.vendor import Fault, Vendor
from sgtm.errors import SettingsError
from sgtm.server.tracing import require_tracing
from sgtm.settings import Settings

HIT = "/data?event_name=purchase&email=anna%40shop.example"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
"""https://www.w3.org/TR/trace-context/#examples-of-http-traceparent-headers"""


class Receiver:
    """Takes traces as a collector does: OTLP over HTTP, in protobuf."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resources: list[dict[str, str]] = []
        self.url = ""

    async def __aenter__(self) -> "Receiver":
        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1/traces"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        assert (request.path, request.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
        for resource in ExportTraceServiceRequest.FromString(await request.read()).resource_spans:
            self.resources.append({one.key: one.value.string_value for one in resource.resource.attributes})
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return web.Response(body=b"", content_type="application/x-protobuf")

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


def attributes(span: Span) -> dict[str, Any]:
    values = {one.key: one.value for one in span.attributes}
    return {
        key: value.int_value if value.HasField("int_value") else value.string_value
        for key, value in values.items()
        if not value.HasField("array_value")
    }


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


def two(vendor: Vendor) -> str:
    return TWO_VENDORS.replace("VENDOR", vendor.url)


async def test_a_trace_leads_from_the_hit_over_its_tags_to_each_try_at_a_vendor(
    serve: Serve, vendor: Vendor, receiver: Receiver
) -> None:
    vendor.fail("/a", Fault(status=503, times=1))
    served = await serve(two(vendor), trace_endpoint=receiver.url, trace_share=1.0)
    await ask(served.port, HIT, headers={"traceparent": PARENT})
    await eventually(lambda: len(receiver.spans) >= 6)
    (root,) = receiver.named("GET /data")
    tags = {span.name: span for span in receiver.spans if span.name.startswith("tag ")}
    sends = receiver.named("send to 127.0.0.1")
    assert root.parent_span_id == b""  # nobody is believed unless it is configured
    assert {span.trace_id for span in receiver.spans} == {root.trace_id}
    assert root.trace_id.hex() != PARENT.split("-")[1]
    assert {tag.parent_span_id for tag in tags.values()} == {root.span_id}
    of_a = [attributes(span) for span in sends if span.parent_span_id == tags["tag A"].span_id]
    assert [(one["http.response.status_code"], one["sgtm.outcome"]) for one in of_a] == [
        (503, "retry"),
        (204, "done"),
    ]
    assert [one["http.request.resend_count"] for one in of_a] == [0, 1]
    assert len([span for span in sends if span.parent_span_id == tags["tag B"].span_id]) == 1
    assert (root.kind, sends[0].kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
    assert root.start_time_unix_nano <= tags["tag A"].start_time_unix_nano
    assert all(span.end_time_unix_nano >= span.start_time_unix_nano for span in receiver.spans)
    said = attributes(root)
    assert (said["http.response.status_code"], said["sgtm.client"], said["url.path"]) == (
        200,
        "Shop",
        "/data",
    )
    assert receiver.resources[0]["service.name"] == "sgtm"
    assert "anna" not in str(receiver.spans)
    for received in vendor.received:  # never sent to vendors (SPEC: reliability 6)
        assert received.header("traceparent") is None


@pytest.mark.parametrize(
    ("flags", "is_joined"), [({"trusted_proxies": ("127.0.0.1/32",)}, True), ({"trusted_proxies": ()}, False)]
)
async def test_a_parent_is_believed_where_its_sender_is_trusted_and_it_is_asked_for(
    flags: dict[str, Any], is_joined: bool, serve: Serve, vendor: Vendor, receiver: Receiver
) -> None:
    share = 0.0 if is_joined else 1.0
    served = await serve(
        two(vendor), trace_endpoint=receiver.url, trace_share=share, trace_parents=True, **flags
    )
    not_sampled = f"{PARENT[:-2]}00"
    for parent in (not_sampled, "00-nonsense", PARENT):
        await ask(served.port, HIT, headers={"traceparent": parent})
    await eventually(lambda: len(receiver.spans) >= (5 if is_joined else 15))
    roots = receiver.named("GET /data")
    parents = [(root.trace_id.hex(), root.parent_span_id.hex()) for root in roots]
    if is_joined:  # one is sampled, and of the one that says nothing nothing is chosen
        assert parents == [tuple(PARENT.split("-")[1:3])]
    else:
        assert [parent for _, parent in parents] == ["", "", ""]


async def test_nobody_waits_for_a_receiver_that_is_not_there(serve: Serve, vendor: Vendor) -> None:
    served = await serve(two(vendor), trace_endpoint="http://127.0.0.1:1/v1/traces", trace_share=1.0)
    async with asyncio.timeout(5):
        assert (await ask(served.port, HIT)).status == 200
    await vendor.wait_for(2)


def test_without_opentelemetry_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(trace_endpoint="http://127.0.0.1:4318/v1/traces")
    require_tracing(settings)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(SettingsError, match=r"--trace-endpoint.*not installed.*pip install 'sgtm\[otel\]'"):
        require_tracing(settings)
    require_tracing(Settings())


def test_nothing_of_it_is_there_while_nobody_asks() -> None:
    program = (
        "import sys, sgtm.server.run; print(sorted(name for name in sys.modules if 'opentelemetry' in name))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.returncode) == ("[]\n", 0)


async def test_the_share_of_requests_in_the_log_changes_while_two_workers_serve(
    tmp_path: Path, vendor: Vendor
) -> None:
    vendor.fail("/a", Fault(status=503, times=1))
    flags = ("--workers", "2", "--egress-allow", "127.0.0.1", "--outbox", "memory")
    server = await Server.start(tmp_path, *flags, container=two(vendor))
    try:
        await ask(server.port, HIT)
        await vendor.wait_for(3)
        assert [line for line in server.lines if line["logger"] == "sgtm.requests"] == []
        answer = await server.admin("PUT", "/log-level", b'{"level": "error", "requests": 1}')
        assert (answer.status, answer.json()) == (200, {"level": "error", "requests": 1})
        assert (await server.admin("PUT", "/log-level", b'{"requests": 1.5}')).status == 400
        vendor.fail("/b", Fault(status=503, times=1))
        for _ in range(20):  # new connections: both workers get some
            await ask(server.port, HIT)
        await server.said("request", 20)
        await server.said("delivery", 41)
        lines = [line for line in server.lines if line["logger"] == "sgtm.requests"]
        retried = next(line for line in lines if line.get("status") == 503)
        again = next(
            line for line in lines if line.get("attempt") == 2 and line["request"] == retried["request"]
        )
        assert (retried["outcome"], retried["attempt"], again["outcome"]) == ("retry", 1, "done")
        assert (again["tag"], again["event"], again["destination"]) == ("B", "purchase", vendor.url)
        assert {"ts", "level", "duration_ms", "request"} <= again.keys()
        assert "anna" not in str(server.lines)
        assert (
            await server.admin("PUT", "/log-level", b'{"level": "info", "requests": 0.0000001}')
        ).status == 200
        for _ in range(3):
            await ask(server.port, HIT)
        await until(lambda: left_out(server, 3))
        server.send_signal(signal.SIGUSR1)
        await server.said("all workers were restarted")
        await ask(server.port, HIT)  # workers that start later have the share, too
        await until(lambda: left_out(server, 4))
    finally:
        await server.kill()


async def left_out(server: Server, count: int) -> bool:
    return await server.metric('sgtm_log_lines_left_out_total{reason="sampled"}') == count
