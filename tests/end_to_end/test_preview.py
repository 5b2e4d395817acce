"""The preview of a real server with two workers, asked over its admin listener."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from processes import TWO_VENDORS, Server, until
from raw_http import RawAnswer, RawConnection, ask
from raw_http import request as raw_request

from sgtm.demo.vendor import Vendor

API = "/preview/api/sessions"
ORDER = b'{"event_name": "order", "email": "ann@shop.example"}'
TOKEN_FILE = Path("data") / "admin-token"


@asynccontextmanager
async def served(folder: Path, vendor: Vendor, *arguments: str) -> AsyncIterator[Server]:
    container = TWO_VENDORS.replace("VENDOR", vendor.url)
    (folder / "the-draft.yaml").write_text(container.replace('/b"', '/draft"'))
    flags = ("--workers", "2", "--egress-allow", "127.0.0.0/8", "--draft", str(folder / "the-draft.yaml"))
    server = await Server.start(folder, *flags, *arguments, container=container)
    try:
        yield server
    finally:
        server.send_signal(signal.SIGINT)
        await server.finish()


async def begin(server: Server, **asked: Any) -> dict[str, Any]:
    answer = await server.admin("POST", API, json.dumps(asked).encode())
    assert answer.status == 200, answer.body
    session: dict[str, Any] = answer.json()
    return session


async def order(server: Server, session: dict[str, Any] | None, times: int = 1) -> None:
    """Each over a connection of its own, so that both workers have some."""
    headers = {"X-Gtm-Server-Preview": session["token"]} if session is not None else {}
    for _ in range(times):
        assert (await ask(server.port, "/data", method="POST", headers=headers, body=ORDER)).status == 200


async def seen(server: Server, id: str) -> list[dict[str, Any]]:
    answer = await server.admin("GET", f"{API}/{id}/requests")
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json()["requests"]
    return found


class Stream:
    """A reader of a session's events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.last_id = ""
        self.head = b""

    async def read(self, connection: RawConnection, enough: Callable[["Stream"], bool]) -> None:
        """Read until that is enough."""
        async with asyncio.timeout(30):
            is_named = False
            while not (enough(self) and is_named):
                block = (await connection.reader.readuntil(b"\n\n")).decode().strip()
                fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
                is_named = "id" in fields  # an id comes behind the events that it names
                self.last_id = fields.get("id", self.last_id)
                if "event" in fields:
                    self.events.append((fields["event"], json.loads(fields["data"])))

    def ids(self) -> set[str]:
        return {one["id"] for one in self.of("request")}

    def delivered(self) -> set[str]:
        """Ids of those whose two deliveries both vendors have."""
        told = self.of("request") + self.of("update")
        return {one["id"] for one in told if one["deliveries"]["done"] == 2}

    def of(self, name: str) -> list[Any]:
        return [data for event, data in self.events if event == name]


@asynccontextmanager
async def stream_of(
    server: Server, id: str, last_id: str = ""
) -> AsyncIterator[tuple[Stream, RawConnection]]:
    token = (server.folder / TOKEN_FILE).read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Last-Event-ID": last_id}
    async with RawConnection(server.admin_port) as connection:
        connection.send(raw_request(f"{API}/{id}/stream", headers=headers))
        stream = Stream()
        stream.head = await connection.reader.readuntil(b"\r\n\r\n")
        yield stream, connection


async def browser(
    server: Server, method: str, path: str, cookie: str, body: bytes = b"", **headers: str
) -> RawAnswer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await ask(server.admin_port, path, method=method, headers={"Cookie": cookie, **named}, body=body)


async def log_in(server: Server, token: str) -> RawAnswer:
    body = urlencode({"token": token}).encode()
    return await ask(server.admin_port, "/preview/login", method="POST", body=body)


@pytest.mark.parametrize("edge", ["on", "off"])
async def test_one_page_shows_what_both_workers_did_as_it_happens(
    tmp_path: Path, vendor: Vendor, edge: str
) -> None:
    # SPEC: requirements R221-R224; the page's contract: request, update, gone, Last-Event-ID
    async with served(tmp_path, vendor, "--edge", edge) as server:
        mine, other = await begin(server), await begin(server, container="draft")
        async with stream_of(server, mine["id"]) as (stream, connection):
            assert b"200 OK" in stream.head
            assert b"text/event-stream" in stream.head
            await order(server, mine, 12)
            await order(server, other, 2)
            await order(server, None)
            await stream.read(
                connection,
                lambda stream: len(stream.of("request")) == 12 and stream.delivered() == stream.ids(),
            )
            assert {one["worker"] for one in stream.of("request")} == {0, 1}
        await order(server, mine)
        async with stream_of(server, mine["id"], stream.last_id) as (again, connection):
            await again.read(connection, lambda stream: len(stream.of("request")) == 1)
            assert not again.ids() & stream.ids()  # what he has seen is not said again
        all_mine = await seen(server, mine["id"])
        assert len(all_mine) == 13
        for one in all_mine:  # each from the worker that has it
            shown = await server.admin("GET", f"{API}/{mine['id']}/requests/{one['id']}")
            assert shown.json()["summary"]["id"] == one["id"]
        assert [one["events"] for one in await seen(server, other["id"])] == [["order"]] * 2
        await vendor.wait_for(2 * 16)
        paths = [received.path for received in vendor.received]
        assert (paths.count("/draft"), paths.count("/b")) == (2, 14)


async def test_a_request_is_shown_whole_becomes_a_test_and_runs_again_dry(
    tmp_path: Path, vendor: Vendor
) -> None:
    # SPEC: requirements R226; docs/testing.md
    async with served(tmp_path, vendor) as server:
        session = await begin(server)
        await order(server, session)
        await vendor.wait_for(2)
        [one] = await seen(server, session["id"])
        path = f"{API}/{session['id']}/requests/{one['id']}"
        view = (await server.admin("GET", path)).json()
        assert [tag["name"] for tag in view["events"][0]["tags"]] == ["A", "B"]
        assert {"clients", "tag A", "tag B", "answer"} <= {span["what"] for span in view["timing"]}
        assert session["token"] not in json.dumps(view)
        case = await server.admin("GET", f"{path}/test")
        assert (case.status, case.header("Content-Type")) == (200, "text/yaml; charset=utf-8")
        (tmp_path / "made.tests.yaml").write_bytes(case.body)
        replayed = await server.admin("POST", f"{path}/replay", b'{"container": "draft"}')
        urls = [tag["deliveries"][0]["url"] for tag in replayed.json()["events"][0]["tags"]]
        assert urls == [f"{vendor.url}/a", f"{vendor.url}/draft"]
        (tmp_path / "the-draft.yaml").write_text("sgtm: 1\nclients: [{name: A, type: no_such}]\n")
        refused = await server.admin("POST", f"{path}/replay", b'{"container": "draft"}')
        assert (refused.status, "no_such" in refused.body.decode()) == (422, True)
        assert (await server.admin("POST", API, b'{"container": "draft"}')).status == 422
        (tmp_path / "the-draft.yaml").unlink()
        missing = await server.admin("POST", API, b'{"container": "draft"}')
        assert (missing.status, "the-draft.yaml" in missing.json()["error"]) == (422, True)
        assert (await server.admin("GET", f"{path[:-1]}9999")).status == 404
        assert (await server.admin("POST", f"{path}/replay", b'{"container": 1}')).status == 400
        assert len(vendor.received) == 2  # nothing else was sent
    tested = await asyncio.create_subprocess_exec(
        *("/usr/bin/env", "python", "-m", "sgtm", "test", str(tmp_path / "container.yaml")),
        str(tmp_path / "made.tests.yaml"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PATH": f"{Path(os.sys.executable).parent}:{os.environ['PATH']}"},  # type: ignore[attr-defined]
    )
    out, _ = await tested.communicate()
    assert tested.returncode == 0, out


async def test_a_worker_that_starts_later_knows_the_sessions_and_the_page_hears_what_is_gone(
    tmp_path: Path, vendor: Vendor
) -> None:
    async with served(tmp_path, vendor) as server:
        session = await begin(server, container="draft")
        async with stream_of(server, session["id"]) as (stream, connection):
            await order(server, session, 12)
            await stream.read(connection, lambda stream: len(stream.of("request")) == 12)
            [victim] = [worker["pid"] for worker in await server.workers() if worker["slot"] == 0]
            os.kill(victim, signal.SIGKILL)
            await stream.read(connection, lambda stream: bool(stream.of("gone")))
            died = {one["id"] for one in stream.of("request") if one["worker"] == 0}
            assert set(stream.of("gone")[0]["ids"]) == died
            await until(lambda: server.is_ready_with(victim))
            assert (await server.admin("POST", "/restart")).status == 200
            await order(server, session, 12)
            await stream.read(connection, lambda stream: len(stream.of("request")) == 24)
            assert {one["worker"] for one in stream.of("request")[12:]} == {0, 1}
        assert {received.path for received in vendor.received} == {"/a", "/draft"}


async def test_sessions_end_by_themselves_and_make_room_for_others(tmp_path: Path, vendor: Vendor) -> None:
    async with served(tmp_path, vendor, "--preview-session-s", "3") as server:
        first = await begin(server)
        for _ in range(11):  # of ten the oldest makes room
            await begin(server)
        assert (await server.admin("GET", f"{API}/{first['id']}/requests")).status == 404
        last = await begin(server)
        async with stream_of(server, last["id"]) as (_, connection):
            assert await connection.reader.readuntil(b"retry: 1000\n\n")
            async with asyncio.timeout(20):
                while await connection.reader.read(1_000):
                    pass  # it ends by itself
        await order(server, last)
        assert (await server.admin("GET", f"{API}/{last['id']}/requests")).status == 404
        assert (await server.admin("DELETE", f"{API}/{last['id']}")).status in (204, 404)
        assert (await server.admin("DELETE", f"{API}/lookback")).status == 404
        third = await begin(server)
        assert (await server.admin("DELETE", f"{API}/{third['id']}")).status == 204
        assert (await server.admin("GET", f"{API}/{third['id']}/stream")).status == 404


async def test_without_token_or_cookie_nothing_is_served(tmp_path: Path, vendor: Vendor) -> None:
    # SPEC: requirements R248, R300; the page's contract
    async with served(tmp_path, vendor, "--look-back-percent", "100") as server:
        await order(server, None)
        for path in ("/preview/api/bootstrap", f"{API}/lookback/requests", f"{API}/lookback/stream",
                     "/preview/assets/app.js", "/preview/nothing"):  # fmt: skip
            for cookie in ("", "sgtm_preview=", "sgtm_preview=99999999999.abc.def"):
                answer = await browser(server, "GET", path, cookie)
                assert answer.status == 401, path
                assert b"Shop" not in answer.body
        assert (await browser(server, "POST", API, "", b"{}")).status == 401
        page = await browser(server, "GET", "/preview/", "")
        assert (page.status, page.header("Location")) == (303, "login")
        form = await browser(server, "GET", "/preview/login", "")
        assert (form.status, b'name="token"' in form.body) == (200, True)
        assert form.header("Content-Security-Policy") is not None

        token = (tmp_path / TOKEN_FILE).read_text().strip()
        entered = await log_in(server, token)
        assert (entered.status, entered.header("Location")) == (303, "./")
        [written] = entered.all("Set-Cookie")
        assert "HttpOnly" in written
        assert "SameSite=Strict" in written
        assert token not in written
        cookie = written.partition(";")[0]
        page = await browser(server, "GET", "/preview/", cookie)
        assert page.status == 200
        headers = dict(page.headers)
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert (await browser(server, "GET", "/preview/assets/app.js", cookie)).status == 200
        assert (await browser(server, "GET", "/preview/assets/../assets.py", cookie)).status == 404
        assert (await browser(server, "GET", "/metrics", cookie)).status == 401  # the preview's door alone

        csrf = (await browser(server, "GET", "/preview/api/bootstrap", cookie)).json()["csrf"]
        assert (await browser(server, "POST", API, cookie, b"{}")).status == 403
        assert (await browser(server, "POST", API, cookie, b"{}", X_Sgtm_Csrf="0" * 64)).status == 403
        assert (await browser(server, "POST", API, cookie, b"{}", X_Sgtm_Csrf=csrf)).status == 200
        left = await browser(server, "POST", "/preview/logout", cookie, X_Sgtm_Csrf=csrf)
        assert "Max-Age=0" in left.all("Set-Cookie")[0]

        [shown] = await seen(server, "lookback")
        view = await server.admin("GET", f"{API}/lookback/requests/{shown['id']}")
        assert b"ann@shop.example" not in view.body  # SPEC: requirements R225: masked

        for _ in range(10):
            assert (await log_in(server, "wrong")).status == 401
        slow = await log_in(server, token)
        assert (slow.status, slow.header("Retry-After") is not None) == (429, True)
        log = json.dumps(server.lines)
        assert token not in log
        assert "a wrong token was given" in log


async def test_readers_are_few_and_who_hangs_up_makes_room(tmp_path: Path) -> None:
    server = await Server.start(tmp_path)
    try:
        path = f"{API}/{(await begin(server))['id']}/stream"
        token = (tmp_path / TOKEN_FILE).read_text().strip()
        asked = raw_request(path, headers={"Authorization": f"Bearer {token}"})

        async def status(connection: RawConnection) -> int:
            connection.send(asked)
            return int((await connection.reader.readline()).split()[1])

        async with AsyncExitStack() as stack:
            connections = [
                await stack.enter_async_context(RawConnection(server.admin_port)) for _ in range(33)
            ]
            assert [await status(one) for one in connections] == [200] * 32 + [503]
        async with asyncio.timeout(10):  # a stream in which nothing happens writes every 15 s
            answered = 503
            while answered == 503:
                async with RawConnection(server.admin_port) as connection:
                    answered = await status(connection)
        assert answered == 200
    finally:
        server.send_signal(signal.SIGINT)
        await server.finish()


async def test_tries_at_the_login_are_few_however_they_are_made(tmp_path: Path) -> None:
    server = await Server.start(tmp_path)
    try:
        for _ in range(12):  # the page of somebody else, open in an operator's browser: it uses up nothing
            headers = {"Sec-Fetch-Site": "cross-site"}
            answer = await ask(
                server.admin_port, "/preview/login", method="POST", headers=headers, body=b"token=x"
            )
            assert answer.status == 403
        body = b"token=wrong"
        head = raw_request("/preview/login", method="POST", headers={"Content-Length": str(len(body))})
        async with AsyncExitStack() as stack:
            connections = [
                await stack.enter_async_context(RawConnection(server.admin_port)) for _ in range(30)
            ]
            for connection in connections:  # all of them begin before the first is judged
                connection.send(head + body[:4])
            await asyncio.sleep(0.2)
            for connection in connections:
                connection.send(body[4:])
            lines = [await connection.reader.readline() for connection in connections]
        statuses = Counter(int(line.split()[1]) for line in lines)
        assert statuses == {401: 10, 429: 20}
    finally:
        server.send_signal(signal.SIGINT)
        await server.finish()


@pytest.mark.parametrize(("flag", "status"), [("auto", 404), ("on", 200)])
async def test_where_others_reach_the_admin_listener_the_preview_has_to_be_asked_for(
    tmp_path: Path, flag: str, status: int
) -> None:
    # SPEC: requirements R248
    server = await Server.start(tmp_path, "--admin-host", "0.0.0.0", "--preview", flag)
    try:
        assert (await server.admin("GET", "/preview/api/bootstrap")).status == status
        assert (await server.admin("GET", "/health")).status == 200
    finally:
        server.send_signal(signal.SIGINT)
        await server.finish()
