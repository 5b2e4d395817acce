"""Scripts served first-party, over real sockets: the real server, and an upstream on loopback.

SPEC: requirements E18, R202, R254, R292, R293; ga4-protocol 5.2."""

import asyncio
import gzip
import logging
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import brotli
import pytest
from conftest import Serve, Served
from doubles import eventually
from raw_http import RawConnection, ask, exchange, request
from script_origin import SCRIPT, ScriptOrigin

from sgtm.server import script_upstream
from sgtm.server.script_upstream import MAX_BYTES

CONTAINER = {
    "sgtm": 1,
    "name": "shop",
    "clients": [
        {"name": "GTM", "type": "web_container", "parameters": {"allowed_container_ids": ["GTM-ABC123"]}},
        {"name": "GA4", "type": "ga4", "priority": -1, "parameters": {"gtag_ids": ["G-ABC123"]}},
    ],
}
GTM = "/gtm.js?id=GTM-ABC123"
HOUR = 3600


@pytest.fixture
async def origin() -> AsyncIterator[ScriptOrigin]:
    async with ScriptOrigin() as running:
        yield running


class Site:
    """The server before the upstream; `pass_time` makes its copies older."""

    def __init__(self, served: Served) -> None:
        self.worker, self.port = served.worker, served.port

    async def get(self, target: str = GTM, **more: Any) -> Any:
        return await ask(self.port, target, **more)

    def pass_time(self, seconds: float) -> None:
        before = self.worker.scripts.now
        self.worker.scripts.now = lambda: before() + seconds

    def count(self, source: str) -> int:
        return self.worker.counters.value("sgtm_scripts_served_total", source)


@pytest.fixture
def start(serve: Serve, origin: ScriptOrigin) -> Any:
    async def begin(**settings: Any) -> Site:
        return Site(await serve(CONTAINER, script_upstream=origin.url, **settings))

    return begin


# -- what is served ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "cache_control"),
    [
        (GTM, "public, max-age=900, stale-while-revalidate=60"),
        ("/gtag/js?id=G-ABC123", "public, max-age=3600"),
        ("/gtag/destination?id=G-ABC123", "public, max-age=3600"),
    ],
)
async def test_a_script_has_its_type_and_cache_rules(
    target: str, cache_control: str, start: Any, origin: ScriptOrigin
) -> None:
    # R254, E18: no Expires, no ETag of our own, never immutable; Vary: Accept-Encoding
    origin.etag = '"theirs"'
    origin.headers |= {"Expires": "Tue, 24 Nov 2026 00:00:00 GMT", "Set-Cookie": "a=1"}
    answer = await (await start()).get(target)
    assert (answer.status, answer.body) == (200, SCRIPT)
    assert origin.asked == [target]
    assert answer.header("Cache-Control") == cache_control
    assert answer.header("Content-Type") == "application/javascript; charset=UTF-8"
    assert answer.header("Vary") == "Accept-Encoding"
    for name in ("Expires", "ETag", "Set-Cookie"):
        assert answer.header(name) is None


async def test_the_frame_is_served_as_a_page(start: Any, origin: ScriptOrigin) -> None:
    origin.headers["Content-Type"], origin.body = "text/html; charset=UTF-8", b"<!DOCTYPE html>"
    answer = await (await start()).get("/ns.html?id=GTM-ABC123")
    assert (answer.status, answer.body) == (200, b"<!DOCTYPE html>")
    assert answer.header("Content-Type") == "text/html; charset=UTF-8"


async def test_head_is_answered_like_get_without_the_body(start: Any) -> None:
    site = await start()
    got, headed = await site.get(), await site.get(method="HEAD")
    assert (headed.status, headed.body) == (200, b"")
    assert headed.header("Content-Length") == got.header("Content-Length") == str(len(SCRIPT))


@pytest.mark.parametrize(
    ("accepts", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("GZIP;q=1.0, br;q=0", "gzip"),
        ("br;q=0.0, *", "gzip"),
        ("deflate, x-gzip", "gzip"),
        ("gzip;q=0", None),
        ("gzip; q=0.000, br", "br"),
        ("*;q=0", None),
        ("deflate", None),
        ("", None),
    ],
)
async def test_each_browser_gets_the_smallest_form_that_it_reads(
    accepts: str, coding: str | None, start: Any, origin: ScriptOrigin
) -> None:
    # R202 (compression); RFC 9110, 12.5.3
    read = {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}
    site = await start()
    await site.get()
    answer = await site.get(headers={"Accept-Encoding": accepts})
    assert answer.header("Content-Encoding") == coding
    assert read[coding](answer.body) == SCRIPT
    assert answer.header("Vary") == "Accept-Encoding"
    assert len(origin.asked) == 1


async def test_compression_can_be_left_to_the_proxy(serve: Serve, origin: ScriptOrigin) -> None:
    parameters = {"allowed_container_ids": ["GTM-ABC123"], "compress": False}
    container = {"sgtm": 1, "clients": [{"name": "GTM", "type": "web_container", "parameters": parameters}]}
    site = Site(await serve(container, script_upstream=origin.url))
    answer = await site.get(headers={"Accept-Encoding": "br, gzip"})
    assert (answer.header("Content-Encoding"), answer.body) == (None, SCRIPT)


async def test_nothing_of_the_visitor_goes_to_the_upstream(start: Any, origin: ScriptOrigin) -> None:
    headers = {
        "Cookie": "_ga=GA1.1.5.6",
        "User-Agent": "Mozilla/5.0",
        "Accept-Language": "de-AT",
        "Referer": "https://shop.example/private",
        "X-Forwarded-For": "198.51.100.7",
        "Authorization": "Basic x",
    }
    await (await start()).get(headers=headers)
    assert set(origin.seen[0]) == {"host", "accept", "accept-encoding", "user-agent"}
    assert (origin.seen[0]["user-agent"], origin.seen[0]["accept-encoding"]) == ("sgtm", "identity")


# -- who is served -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/gtm.js?id=GTM-OTHER",
        "/gtm.js?id=gtm-abc123",
        "/gtm.js?id=GTM-OTHER&id=GTM-ABC123",
        "/gtm.js",
        "/gtm.js?id=",
        "/gtm.js?id=G-ABC123",
        "/ns.html?id=GTM-OTHER",
        "/gtag/js?id=G-OTHER",
        "/gtag/js?id=GTM-ABC123",
        f"{GTM}&l={'x' * 1024}",
    ],
)
async def test_what_is_not_listed_is_400_and_the_upstream_is_not_asked(
    target: str, start: Any, origin: ScriptOrigin
) -> None:
    # R293
    answer = await (await start()).get(target)
    assert (answer.status, answer.body) == (400, b"")
    assert answer.header("Cache-Control") == "no-store"
    assert origin.asked == []


async def test_the_whole_query_is_passed_on_and_its_order_makes_no_second_copy(
    start: Any, origin: ScriptOrigin
) -> None:
    # E18: pass the whole query; R202: one id, the one that was checked
    site = await start()
    await site.get("/gtm.js?l=d%20l&id=GTM-ABC123&cx=c&new=%C3%A9&id=GTM-OTHER")
    await site.get("/gtm.js?new=%C3%A9&cx=c&id=GTM-ABC123&l=d+l")
    assert origin.asked == ["/gtm.js?cx=c&id=GTM-ABC123&l=d%20l&new=%C3%A9"]


async def test_a_preview_is_fetched_each_time_and_never_kept(start: Any, origin: ScriptOrigin) -> None:
    site = await start()
    target = "/gtm.js?gtm_auth=aB-_9&gtm_cookies_win=x&gtm_preview=env-5&id=GTM-ABC123"
    for _ in range(2):
        answer = await site.get(target)
        assert (answer.status, answer.header("Cache-Control")) == (200, "no-store")
    assert origin.asked == [target, target]
    assert len(site.worker.scripts.copies) == 0


# -- what scripts load further ---------------------------------------------------------------------

LOADER = b'{"blob":{"10":"GTM-ABC123","3":"www.googletagmanager.com"},"tag":["G-DEP1","GTM-LINKED"]}' + SCRIPT
DEPENDENCIES = {
    "sgtm": 1,
    "name": "shop",
    "clients": [
        {
            "name": "GTM",
            "type": "web_container",
            "parameters": {
                "allowed_container_ids": ["GTM-ABC123"],
                "dependency_hosts": ["shop.example", "sst.example:8443"],
            },
        },
        {"name": "GA4", "type": "ga4", "priority": 1, "parameters": {"gtag_ids": ["G-ABC123"]}},
    ],
}


@pytest.fixture
def start_with_dependencies(serve: Serve, origin: ScriptOrigin) -> Any:
    async def begin(**settings: Any) -> Site:
        origin.body = LOADER
        settings = {"path_prefix": "/metrics", "script_upstream": origin.url, **settings}
        return Site(await serve(DEPENDENCIES, **settings))

    return begin


async def test_a_script_is_told_to_load_further_ones_from_the_host_that_was_asked(
    start_with_dependencies: Any, origin: ScriptOrigin
) -> None:
    # ga4-protocol 5.2: dependent scripts load first-party; only hosts that the operator has named, since a
    # copy is for all visitors
    site = await start_with_dependencies()
    told = {
        "shop.example": b"shop.example/metrics",
        "sst.example": b"sst.example:8443/metrics",
        "elsewhere.example": b"www.googletagmanager.com",
        "evil.shop.example": b"www.googletagmanager.com",
    }
    for _ in range(2):
        for host, where in told.items():
            answer = await exchange(site.port, request(GTM).replace(b"shop.example", host.encode()))
            assert answer.body == LOADER.replace(b"www.googletagmanager.com", where)
    assert len(origin.asked) == 3


@pytest.mark.parametrize(
    "target",
    [
        "/gtag/js?id=G-DEP1",
        "/gtag/destination?cx=c&id=G-DEP1",
        "/metrics/gtag/js?id=G-DEP1",
        "/metrics/gtm.js?id=GTM-LINKED",
        "/gtm.js?id=GTM-LINKED",
    ],
)
async def test_what_a_listed_script_names_is_served_too(
    target: str, start_with_dependencies: Any, origin: ScriptOrigin
) -> None:
    # R202 (dependent scripts); the listed script is looked into first, even if nobody has loaded it yet
    site = await start_with_dependencies()
    assert (await site.get(target)).status == 200
    assert origin.asked == ["/gtm.js?id=GTM-ABC123", target.removeprefix("/metrics")]


@pytest.mark.parametrize(
    "target",
    [
        "/gtag/js?id=G-DEP",
        "/gtag/js?id=G-OTHER1",
        "/gtag/js?id=G-DEP1x",
        "/gtag/destination",
        "/metrics/gtm.js?id=GTM-ABC",
        "/metrics/gtag/destination?id=..%2FG-DEP1",
    ],
)
async def test_what_no_listed_script_names_is_400_and_not_asked_for(
    target: str, start_with_dependencies: Any, origin: ScriptOrigin
) -> None:
    # R293 holds for dependencies
    site = await start_with_dependencies()
    for _ in range(3):
        answer = await site.get(target)
        assert (answer.status, answer.body, answer.header("Cache-Control")) == (400, b"", "no-store")
    assert set(origin.asked) <= {"/gtm.js?id=GTM-ABC123"}
    assert len(origin.asked) <= 1


async def test_an_id_that_a_stranger_wrote_into_the_query_is_not_named_by_google(
    start_with_dependencies: Any, origin: ScriptOrigin
) -> None:
    # the upstream writes `l` into the script
    site = await start_with_dependencies()
    origin.body = LOADER + b'var l="GTM-EVIL"'
    assert (await site.get(f"{GTM}&l=GTM-EVIL")).body.endswith(b'"GTM-EVIL"')
    origin.body = LOADER
    assert (await site.get("/gtm.js?id=GTM-EVIL")).status == 400
    assert (await site.get("/gtag/js?id=G-DEP1&l=dataLayer")).status == 200


async def test_what_a_dependency_names_and_what_a_preview_names_is_served(
    start_with_dependencies: Any, origin: ScriptOrigin
) -> None:
    site = await start_with_dependencies()
    assert (await site.get("/gtag/destination?id=AW-22")).status == 400
    origin.body = b"AW-22"
    assert (await site.get("/gtag/js?cx=c&gtm=45je&id=G-DEP1")).status == 200
    assert (await site.get("/gtag/destination?id=AW-22")).status == 200
    origin.body = b"AW-33"
    assert (await site.get(f"{GTM}&gtm_auth=a-b&gtm_preview=env-5")).status == 200
    assert (await site.get("/gtag/destination?id=AW-33")).status == 200


async def test_dependencies_are_known_after_a_restart_while_the_upstream_is_down(
    start_with_dependencies: Any, origin: ScriptOrigin, tmp_path: Path
) -> None:
    site = await start_with_dependencies(script_folder=str(tmp_path / "scripts"))
    assert (await site.get("/gtag/js?id=G-DEP1")).status == 200
    await site.worker.drain(0)
    await origin.go_down()
    site = await start_with_dependencies(script_folder=str(tmp_path / "scripts"))
    assert (await site.get("/gtag/js?id=G-DEP1")).status == 200
    assert (await site.get("/gtag/js?id=G-OTHER1")).status == 400


async def test_a_script_that_does_not_say_where_it_loads_from_is_served_as_it_came(
    start_with_dependencies: Any, origin: ScriptOrigin, caplog: pytest.LogCaptureFixture
) -> None:
    site = await start_with_dependencies()
    origin.body = SCRIPT
    assert (await site.get()).body == SCRIPT
    assert "a script does not say where it loads further scripts from" in caplog.messages


# -- the frame of the service worker ---------------------------------------------------------------

FRAME = "/_/service_worker/67r0/sw_iframe.html?1p=1&origin=https%3A%2F%2Fshop.example"


async def test_the_frame_of_the_service_worker_is_404(start: Any, origin: ScriptOrigin) -> None:
    # google-runtime 7.3: a 404 costs nothing; gtag sends its hits itself
    site = await start()
    for target in (FRAME, "/_/service_worker/67r0/sw.js", "/_/service_worker/67r0/x", "/_/service_worker/"):
        answer = await site.get(target)
        assert (answer.status, answer.body, answer.header("Cache-Control")) == (404, b"", "no-store")
    assert origin.asked == []


async def test_the_frame_is_served_where_the_operator_says_where_it_is(
    serve: Serve, origin: ScriptOrigin
) -> None:
    # ga4-protocol 5.2: `public, max-age=604800`
    parameters = {
        "service_worker_path": "/static/service_worker",
        "paths": ["/g/collect", "/metrics/g/collect"],
    }
    container = {"sgtm": 1, "clients": [{"name": "GA4", "type": "ga4", "parameters": parameters}]}
    site = Site(await serve(container, script_upstream=origin.url))
    script = await site.get("/metrics/_/service_worker/67r0/sw.js?origin=https%3A%2F%2Fshop.example")
    assert (script.status, script.body) == (200, SCRIPT)
    origin.headers["Content-Type"] = "text/html"
    frame = await site.get(FRAME)
    assert (frame.status, frame.header("Cache-Control")) == (200, "public, max-age=604800")
    for target in ("/_/service_worker/../sw.js", "/_/service_worker/67r0/other.js"):
        assert (await site.get(target)).status == 404
    assert [target.partition("?")[0] for target in origin.asked] == [
        "/static/service_worker/67r0/sw.js",
        "/static/service_worker/67r0/sw_iframe.html",
    ]


# -- copies --------------------------------------------------------------------------------------


async def test_a_hundred_requests_are_one_fetch(start: Any, origin: ScriptOrigin) -> None:
    site = await start()
    async with RawConnection(site.port) as connection:
        for _ in range(100):
            connection.send(request(GTM))
            assert (await connection.read_answer()).body == SCRIPT
    assert len(origin.asked) == 1
    assert (site.count("upstream"), site.count("copy")) == (1, 99)


async def test_many_who_ask_at_once_share_one_fetch(start: Any, origin: ScriptOrigin) -> None:
    origin.delay_s = 0.2
    site = await start()
    answers = await asyncio.gather(*(site.get() for _ in range(50)))
    assert {answer.body for answer in answers} == {SCRIPT}
    assert len(origin.asked) == 1


async def test_a_visitor_who_leaves_does_not_end_the_fetch_of_the_others(
    start: Any, origin: ScriptOrigin
) -> None:
    origin.delay_s = 0.3
    site = await start()
    async with RawConnection(site.port) as leaving:
        leaving.send(request(GTM))
        await eventually(lambda: origin.asked)
        waiting = asyncio.create_task(site.get())
        await asyncio.sleep(0.05)
    assert (await waiting).body == SCRIPT
    assert len(origin.asked) == 1


async def test_a_copy_that_has_aged_is_served_while_a_new_one_is_fetched(
    start: Any, origin: ScriptOrigin
) -> None:
    site = await start()
    await site.get()
    origin.body, origin.delay_s = b"newer", 0.2
    site.pass_time(930)
    started = time.monotonic()
    answer = await site.get()
    assert time.monotonic() - started < 0.15
    assert (answer.body, answer.header("Age")) == (SCRIPT, "930")
    await eventually(lambda: site.worker.scripts.copies.get("/gtm.js?id=GTM-ABC123").body == b"newer")
    assert (await site.get()).body == b"newer"
    assert len(origin.asked) == 2


async def test_an_old_copy_is_renewed_before_the_answer(start: Any, origin: ScriptOrigin) -> None:
    site = await start()
    await site.get()
    origin.body = b"newer"
    site.pass_time(961)
    answer = await site.get()
    assert (answer.body, answer.header("Age")) == (b"newer", "0")


async def test_a_copy_that_is_still_the_current_one_is_not_sent_again(
    start: Any, origin: ScriptOrigin
) -> None:
    origin.etag = '"v1"'
    site = await start()
    await site.get()
    site.pass_time(HOUR)
    assert (await site.get()).body == SCRIPT
    assert (await site.get()).header("Age") == "0"
    assert [seen.get("if-none-match") for seen in origin.seen] == [None, '"v1"']


async def test_the_cache_is_bounded_under_ten_thousand_queries_and_keeps_what_pages_load(
    start: Any, origin: ScriptOrigin
) -> None:
    site = await start(script_cache_bytes=1_000_000)
    await site.get()
    await site.get()

    async def flood(first: int) -> None:
        async with RawConnection(site.port) as connection:
            for number in range(first, 10_000, 10):
                connection.send(request(f"{GTM}&n={number}"))
                assert (await connection.read_answer()).status == 200

    await asyncio.gather(*map(flood, range(10)))
    copies = site.worker.scripts.copies
    assert len(origin.asked) == 10_001
    assert len(copies) <= 256
    assert copies.size_bytes <= 1_000_000
    await site.get()
    assert len(origin.asked) == 10_001


# -- the upstream fails ----------------------------------------------------------------------------


async def down(origin: ScriptOrigin) -> None:
    await origin.go_down()


async def slow(origin: ScriptOrigin) -> None:
    origin.delay_s = 3.0


async def empty(origin: ScriptOrigin) -> None:
    origin.body = b" \n"


async def missing(origin: ScriptOrigin) -> None:
    origin.status = 404


async def broken(origin: ScriptOrigin) -> None:
    origin.status = 500


async def elsewhere(origin: ScriptOrigin) -> None:
    origin.status, origin.headers["Location"] = 302, f"{origin.url}/other"


async def partial_content(origin: ScriptOrigin) -> None:
    origin.status = 206


async def huge(origin: ScriptOrigin) -> None:
    origin.body = b"x" * (MAX_BYTES + 1)


async def of_another_type(origin: ScriptOrigin) -> None:
    origin.headers["Content-Type"] = "text/html"


async def compressed(origin: ScriptOrigin) -> None:
    origin.headers["Content-Encoding"], origin.body = "gzip", gzip.compress(SCRIPT)


async def without_a_body(origin: ScriptOrigin) -> None:
    origin.body = b""


async def truncated(origin: ScriptOrigin) -> None:
    origin.sends = len(SCRIPT) // 2


async def truncated_in_chunks(origin: ScriptOrigin) -> None:
    origin.headers["Transfer-Encoding"], origin.sends = "chunked", len(SCRIPT) // 2


async def dripping(origin: ScriptOrigin) -> None:
    origin.drips = True


async def without_a_type(origin: ScriptOrigin) -> None:
    origin.headers["Content-Type"] = "application/octet-stream"


FAULTS = [down, slow, dripping, empty, without_a_body, truncated, truncated_in_chunks, missing, broken]
FAULTS += [elsewhere, partial_content, huge, of_another_type, without_a_type, compressed]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_the_old_copy_is_served_with_an_alarm_when_the_upstream_fails(
    fault: Any, start: Any, origin: ScriptOrigin, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    # R292: stale copy and alarm; an empty body is never cached
    monkeypatch.setattr(script_upstream, "FETCH_TIMEOUT_S", 1.5)
    site = await start()
    await site.get()
    await fault(origin)
    site.pass_time(24 * HOUR)
    with caplog.at_level(logging.ERROR):
        started = time.monotonic()
        for _ in range(3):
            answer = await site.get()
            assert (answer.status, answer.body) == (200, SCRIPT)
            assert answer.header("Cache-Control") == "public, max-age=60"
        assert time.monotonic() - started < 4
        failures = site.worker.counters
        await eventually(lambda: failures.value("sgtm_script_upstream_failures_total", "/gtm.js") == 1)
    (said,) = [record for record in caplog.records if record.message == "the upstream of a script failed"]
    assert (said.has_old_copy, said.age_s // HOUR) == (True, 24)
    assert site.count("stale") == 3
    assert len(origin.asked) == (1 if fault is down else 2)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_without_a_copy_a_failure_is_502_and_not_asked_for_again_at_once(
    fault: Any, start: Any, origin: ScriptOrigin, monkeypatch: Any
) -> None:
    monkeypatch.setattr(script_upstream, "FETCH_TIMEOUT_S", 0.5)
    await fault(origin)
    site = await start()
    for _ in range(3):
        answer = await site.get()
        assert (answer.status, answer.body) == (502, b"")
        assert (answer.header("Cache-Control"), answer.header("Retry-After")) == ("no-store", "10")
    assert len(site.worker.scripts.copies) == 0
    assert len(origin.asked) == (0 if fault is down else 1)


async def test_an_upstream_whose_certificate_nobody_vouches_for_is_not_believed(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(Path(__file__).parents[1] / "delivery/tls/good.pem")
    async with ScriptOrigin(tls) as impostor:
        site = Site(await serve(CONTAINER, script_upstream=impostor.url))
        with caplog.at_level(logging.ERROR):
            assert (await site.get()).status == 502
        assert impostor.asked == []
    (said,) = [record for record in caplog.records if hasattr(record, "has_old_copy")]
    assert said.reason == "the certificate or TLS of the host was not accepted"


async def test_the_upstream_is_asked_again_after_a_while(start: Any, origin: ScriptOrigin) -> None:
    origin.status = 503
    site = await start()
    assert (await site.get()).status == 502
    origin.status = 200
    site.pass_time(11)
    assert (await site.get()).body == SCRIPT


async def test_a_copy_that_is_too_old_is_not_served(start: Any, origin: ScriptOrigin) -> None:
    site = await start(script_stale_s=HOUR)
    await site.get()
    origin.status = 500
    site.pass_time(900 + HOUR - 5)
    assert (await site.get()).status == 200
    site.pass_time(10)
    assert (await site.get()).status == 502


async def test_only_so_many_fetches_run_at_once(start: Any, origin: ScriptOrigin) -> None:
    origin.delay_s = 0.5
    site = await start()
    answers = await asyncio.gather(*(site.get(f"{GTM}&n={number}") for number in range(60)))
    assert sorted(answer.status for answer in answers) == [200] * 32 + [502] * 28
    assert len(origin.asked) == 32


async def test_a_flood_of_new_queries_and_previews_does_not_hold_up_a_renewal(
    start: Any, origin: ScriptOrigin
) -> None:
    site = await start()
    await site.get()
    origin.body, origin.delay_s = b"newer", 0.5
    site.pass_time(2 * HOUR)  # too old to be served while it is renewed
    flood = [f"{GTM}&n={number}" for number in range(40)]
    flood += [f"{GTM}&gtm_auth=x{number}&gtm_preview=env-1" for number in range(40)]
    flooding = asyncio.gather(*(site.get(target) for target in flood))
    await eventually(lambda: len(origin.asked) == 1 + 32)
    assert (await site.get()).body == b"newer"
    await flooding


# -- the folder ------------------------------------------------------------------------------------


def files_of(folder: Path) -> list[Path]:
    return list(folder.glob("*.script"))


async def test_copies_survive_a_restart(start: Any, origin: ScriptOrigin, tmp_path: Path) -> None:
    folder = str(tmp_path / "scripts")
    site = await start(script_folder=folder)
    await site.get()
    await site.worker.drain(0)
    await origin.go_down()
    site = await start(script_folder=folder)
    answer = await site.get(headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(answer.body) == SCRIPT
    site.pass_time(24 * HOUR)
    assert (await site.get()).body == SCRIPT
    assert (site.count("copy"), site.count("stale")) == (1, 1)


async def test_a_query_with_free_text_stays_in_memory(
    start: Any, origin: ScriptOrigin, tmp_path: Path
) -> None:
    # a visitor's data goes to no file
    site = await start(script_folder=str(tmp_path))
    for _ in range(2):
        assert (await site.get(f"{GTM}&l=jane%40shop.example")).status == 200
    assert (len(site.worker.scripts.copies), len(origin.asked), files_of(tmp_path)) == (1, 1, [])


async def test_the_folder_holds_no_more_than_the_cache(
    start: Any, origin: ScriptOrigin, tmp_path: Path
) -> None:
    site = await start(script_folder=str(tmp_path), script_cache_bytes=10_000)
    for number in range(20):
        await site.get(f"{GTM}&n={number}")
    files = files_of(tmp_path)
    assert len(files) == len(site.worker.scripts.copies) > 1
    site = await start(script_folder=str(tmp_path), script_cache_bytes=5_000)
    assert len(files_of(tmp_path)) == len(site.worker.scripts.copies) < len(files)


async def test_two_workers_share_the_folder(start: Any, origin: ScriptOrigin, tmp_path: Path) -> None:
    folder = tmp_path / "scripts"
    sites = [await start(script_folder=str(folder), script_cache_bytes=10_000) for _ in range(2)]
    targets = [f"{GTM}&n={number}" for number in range(20)]
    answers = await asyncio.gather(*(site.get(target) for target in targets for site in sites))
    assert {answer.body for answer in answers} == {SCRIPT}
    await origin.go_down()
    heir = await start(script_folder=str(folder), script_cache_bytes=10_000)
    assert len(heir.worker.scripts.copies) > 1
    assert list(folder.glob("*")) == files_of(folder)  # nothing unfinished is left


async def test_a_damaged_file_is_removed_and_fetched_again(
    start: Any, origin: ScriptOrigin, tmp_path: Path
) -> None:
    await (await start(script_folder=str(tmp_path))).get()
    (file,) = files_of(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    site = await start(script_folder=str(tmp_path))
    assert not file.exists()
    assert (await site.get()).body == SCRIPT
    assert len(origin.asked) == 2
    assert file.exists()


async def test_a_folder_that_cannot_be_used_costs_only_the_folder(
    start: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.ERROR):
        site = await start(script_folder=str(tmp_path / "file"))
        assert (await site.get()).body == SCRIPT
    assert [record.error for record in caplog.records] == ["FileExistsError", "NotADirectoryError"]
