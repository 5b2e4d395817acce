"""Health, readiness, robots, icon: SPEC R51, R333."""

import logging

import pytest
from conftest import Serve
from containers import client, container, echo, tag
from raw_http import ask

from sgtm.messages import Answer, Claimed, IncomingRequest, OutgoingRequest
from sgtm.observability.walk import Walk

GREEDY = container([client(echo, paths=("/health", "/live", "/ready", "/startup", "/robots.txt"))])


@pytest.mark.parametrize("path", ["/live", "/healthy", "/healthz", "/health"])
async def test_health_is_a_plain_ok(path: str, serve: Serve) -> None:
    answer = await ask((await serve(GREEDY)).port, path)
    assert (answer.status, answer.body, answer.header("Content-Type")) == (200, b"ok", "text/plain")
    assert answer.header("Cache-Control") == "no-store"


@pytest.mark.parametrize("path", ["/readyz", "/ready", "/startup", "/ready?verbose"])
async def test_ready_says_so_in_json(path: str, serve: Serve) -> None:
    answer = await ask((await serve(GREEDY)).port, path)
    assert (answer.status, answer.json()) == (200, {"ready": True, "because": []})


async def test_a_draining_worker_is_not_ready_but_healthy(serve: Serve) -> None:
    served = await serve(GREEDY)
    served.worker.health.is_draining = True
    answer = await ask(served.port, "/readyz")
    assert (answer.status, answer.json()) == (503, {"ready": False, "because": ["draining"]})
    assert answer.header("Connection") == "close"
    assert (await ask(served.port, "/healthz")).status == 200


async def test_a_worker_without_container_is_not_ready(serve: Serve) -> None:
    served = await serve(GREEDY)
    served.worker.health.is_loaded = False
    assert (await ask(served.port, "/ready")).json()["because"] == ["container not loaded"]


async def test_a_full_outbox_is_not_ready(serve: Serve) -> None:
    claims = client(lambda _: Claimed([{"event_name": "x"}], Answer(204)), paths=("/c",))
    nowhere = tag(lambda _: [OutgoingRequest("POST", "http://127.0.0.1:9/")])
    served = await serve(container([claims], [nowhere]), outbox_records=1, drain_timeout_s=0.05)
    assert (await ask(served.port, "/c")).status == 204
    assert (await ask(served.port, "/c")).status == 503
    assert (await ask(served.port, "/readyz")).json()["because"] == ["outbox full"]
    assert (await ask(served.port, "/healthz")).status == 200


async def test_robots_are_sent_away_and_there_is_no_icon(serve: Serve) -> None:
    port = (await serve(GREEDY)).port
    assert (await ask(port, "/robots.txt")).body == b"User-agent: *\nDisallow: /\n"
    assert (await ask(port, "/favicon.ico")).status == 204


async def test_they_reach_no_client_and_leave_no_line(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    asked: list[str] = []

    def look(request: IncomingRequest) -> Walk | None:
        asked.append(request.path)
        return None

    served = await serve(GREEDY, new_walk=look)
    caplog.clear()
    with caplog.at_level(logging.DEBUG, "sgtm"):
        for path in ("/healthz", "/readyz", "/robots.txt", "/favicon.ico"):
            assert (await ask(served.port, path, method="HEAD")).status < 300
    assert (asked, [record for record in caplog.records if record.name.startswith("sgtm")]) == ([], [])
    assert served.worker.counters.value("sgtm_requests_claimed_total", "Test") == 0
