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

import pytest
from conftest import Serve, Served
from doubles import eventually
from raw_http import RawConnection, ask, request
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
    ("accepts", "is_compressed"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1, *;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
        ("br", False),
        ("", False),
    ],
)
async def test_gzip_for_whoever_reads_it(
    accepts: str, is_compressed: bool, start: Any, origin: ScriptOrigin
) -> None:
    site = await start()
    await site.get()
    answer = await site.get(headers={"Accept-Encoding": accepts})
    assert (answer.header("Content-Encoding") == "gzip") is is_compressed
    assert (gzip.decompress(answer.body) if is_compressed else answer.body) == SCRIPT
    assert answer.header("Vary") == "Accept-Encoding"
    assert len(origin.asked) == 1


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
        "/_/service_worker/67r0/sw_iframe.html?origin=https%3A%2F%2Fshop.example&1p=1",
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


FAULTS = [down, slow, empty, missing, broken, elsewhere, partial_content, huge, of_another_type, compressed]


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
