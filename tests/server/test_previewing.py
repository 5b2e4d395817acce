"""One worker's previews: who gets into a session, what is kept of it, and what of it nobody else notices."""

import json
import time
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from conftest import Serve, Served
from containers import client, container
from doubles import eventually
from msgspec import Raw
from processes import BROKEN, TWO_VENDORS, until
from raw_http import RawAnswer, ask

from sgtm.demo.vendor import Fault, Vendor
from sgtm.errors import Problem
from sgtm.messages import Answer, Claimed
from sgtm.preview.sessions import LOOK_BACK, Session, Sessions, Which
from sgtm.preview.view import Summary
from sgtm.server import previewing
from sgtm.server.preview_questions import Changes, Cursor, Draft, Followed, Opening, Wanted
from sgtm.server.worker import Worker

BOTH_WAYS = True

ORDER = b'{"event_name": "order", "email": "ann@shop.example"}'


class Watched:
    """One session in one worker, as the supervisor sees it."""

    def __init__(self, worker: Worker, session: Session, token: str) -> None:
        self.worker, self.session, self.token = worker, session, token

    async def changes(self, cursor: Cursor = Cursor()) -> Changes:  # noqa: B008
        asked = Followed(self.session.id, {0: cursor})
        changes: Changes = await question(self.worker, "preview-changes", asked, Changes)
        return changes

    async def seen(self) -> list[Summary]:
        return (await self.changes()).came

    async def view(self, id: str) -> Any:
        part = await question(self.worker, "preview-part", Wanted(self.session.id, id, "view"), bytes | None)
        return None if part is None else msgspec.json.decode(part)


async def question(worker: Worker, kind: str, body: object, of: Any) -> Any:
    answer = await worker.previews.questions()[kind](Raw(msgspec.msgpack.encode(body)))
    return msgspec.msgpack.decode(msgspec.msgpack.encode(answer), type=of)


async def begin(
    worker: Worker,
    which: Which = "published",
    *,
    draft: str = "",
    sends: bool = True,
    life_s: float = 60.0,
) -> Watched:
    now = time.time_ns() // 1_000
    session, token = Sessions().open(now, life_s, which, sends=sends)
    opening = Opening(session, Draft("draft.yaml", draft.encode()) if draft else None)
    assert await question(worker, "preview-open", opening, list[Problem]) == []
    return Watched(worker, session, token)


async def start(serve: Serve, vendor_url: str, **settings: Any) -> Served:
    """What is under way at the end does not matter."""
    return await serve(TWO_VENDORS.replace("VENDOR", vendor_url), drain_timeout_s=0.1, **settings)


async def order(port: int, target: str = "/data", **headers: str) -> RawAnswer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await ask(port, target, method="POST", headers=named, body=ORDER)


def without_date(answer: RawAnswer) -> tuple[int, list[tuple[str, str]], bytes]:
    return answer.status, [pair for pair in answer.headers if pair[0] != "Date"], answer.body


# -- three ways in --------------------------------------------------------------------------------


async def test_a_request_enters_by_header_parameter_or_cookie_and_no_other_does(
    serve: Serve, vendor: Vendor
) -> None:
    # SPEC: requirements R222, R223, R352
    served = await start(serve, vendor.url)
    tester = await begin(served.worker)
    entered = await order(served.port, x_gtm_server_preview=tester.token)
    await order(served.port, f"/data?a=1&sgtm_preview={tester.token}")
    await order(served.port, cookie=f"x=1; sgtm_preview_session={tester.token}")
    assert without_date(await order(served.port)) == without_date(entered)  # R224: it alters nothing
    assert [one.path for one in await tester.seen()] == ["/data"] * 3
    await vendor.wait_for(8)


async def test_no_client_vendor_or_record_sees_a_mark(serve: Serve, vendor: Vendor, tmp_path: Any) -> None:
    # the mark is a credential: it opens what others have sent
    data = tmp_path / "data"
    served = await start(serve, vendor.url, outbox="sqlite", archive="1d", data_folder=str(data))
    tester = await begin(served.worker)
    for token in (tester.token, "stale-and-long-enough-to-be-found"):
        await order(served.port, x_gtm_server_preview=token)
        await order(served.port, f"/data?sgtm_preview={token}&a=1")
        await order(served.port, cookie=f"sgtm_preview_session={token}; b=2")
        for received in await vendor.wait_for(2):
            assert token not in repr(received)
        kept = [path.read_bytes() for path in data.rglob("*") if path.is_file()]
        assert kept
        assert not any(token.encode() in content for content in kept)
    view = await tester.view((await tester.seen())[1].id)
    assert tester.token not in repr(view)
    assert view["events"][0]["data"]["a"] == "1"  # and nothing else was taken out


async def test_the_address_of_a_page_that_came_with_the_link_does_not_tell_the_token(
    serve: Serve, vendor: Vendor
) -> None:
    # a browser sends the address along: as Referer, and a hit as its page_location
    served = await start(serve, vendor.url)
    tester = await begin(served.worker)
    page = f"https://shop.example/?sgtm_preview={tester.token}"
    body = json.dumps({"event_name": "order", "page_location": page}).encode()
    headers = {"Cookie": f"sgtm_preview_session={tester.token}", "Referer": page}
    target = f"/data?dl={quote(page, safe='')}"
    assert (await ask(served.port, target, method="POST", headers=headers, body=body)).status == 200
    for received in await vendor.wait_for(2):
        assert tester.token not in repr(received)
    [one] = await tester.seen()
    view = await tester.view(one.id)
    assert tester.token not in repr(view)
    assert view["events"][0]["data"]["page_location"] == "https://shop.example/?sgtm_preview="


async def test_a_wrong_or_stale_token_changes_nothing_for_its_sender(serve: Serve, vendor: Vendor) -> None:
    # SPEC: requirements R352
    served = await start(serve, vendor.url)
    tester = await begin(served.worker, life_s=0.3)
    plain = without_date(await order(served.port))
    nothing = without_date(await ask(served.port, "/nothing"))
    await eventually(lambda: time.time_ns() // 1_000 > tester.session.expires_micros)
    for token in ("wrong", "", "%00", "x" * 3_000, tester.token):
        assert without_date(await order(served.port, x_gtm_server_preview=token)) == plain
        assert without_date(await order(served.port, f"/data?sgtm_preview={token}")) == plain
        assert without_date(await ask(served.port, f"/nothing?sgtm_preview={token}")) == nothing
    assert await tester.seen() == []
    assert served.worker.counters.snapshot()["sgtm_preview_requests_total", "unknown mark"] == 15


async def test_a_link_with_the_parameter_brings_its_browser_in_for_the_whole_site(serve: Serve) -> None:
    # SPEC: requirements R352: cookie on the registrable domain
    served = await start(serve, "http://127.0.0.1:1")
    tester = await begin(served.worker)
    answer = await ask(served.port, f"/?sgtm_preview={tester.token}", headers={"X-Forwarded-Proto": "https"})
    [cookie] = answer.all("Set-Cookie")
    assert cookie.startswith(f"sgtm_preview_session={tester.token}; Max-Age=")
    assert "Domain=shop.example; Path=/; HttpOnly; SameSite=Lax" in cookie
    assert (answer.status, answer.header("Cache-Control")) == (200, "no-store")
    assert b"preview session" in answer.body
    assert (await order(served.port, x_gtm_server_preview=tester.token)).all("Set-Cookie") == []


async def test_no_cache_keeps_an_answer_that_brings_somebody_into_a_session(serve: Serve) -> None:
    cacheable = Answer(200, (("Cache-Control", "public, max-age=900"),), b"a script")
    script = client(lambda request: Claimed([], cacheable), paths=("/script.js",))
    served = await serve(container([script]))
    tester = await begin(served.worker)
    answer = await ask(served.port, f"/script.js?sgtm_preview={tester.token}")
    assert (answer.all("Cache-Control"), len(answer.all("Set-Cookie"))) == (["no-store"], 1)
    entered = await ask(served.port, "/script.js", headers={"X-Gtm-Server-Preview": tester.token})
    assert entered.all("Cache-Control") == ["public, max-age=900"]  # what everybody gets, he gets


async def test_a_browser_may_send_the_header_from_another_site(serve: Serve) -> None:
    # SPEC: requirements R352: header always allowed in preflight
    served = await start(serve, "http://127.0.0.1:1")
    asks = {"Origin": "https://www.shop.example", "Access-Control-Request-Method": "POST"}
    answer = await ask(served.port, "/data", method="OPTIONS", headers=asks)
    assert "x-gtm-server-preview" in (answer.header("Access-Control-Allow-Headers") or "")


# -- what is kept ---------------------------------------------------------------------------------


async def test_no_session_sees_what_another_has_sent(serve: Serve, vendor: Vendor) -> None:
    # SPEC: requirements R300
    served = await start(serve, vendor.url)
    first, second = await begin(served.worker), await begin(served.worker)
    await order(served.port, x_gtm_server_preview=first.token)
    assert await second.seen() == []
    [mine] = await first.seen()
    assert await second.view(mine.id) is None
    assert (await first.view(mine.id))["claimed_by"] == "Shop"
    slot, epoch, number = mine.id.split("-")
    for other in (f"1-{epoch}-{number}", f"{slot}-00000000-{number}", f"{slot}-{epoch}-2", "", "x" * 999):
        assert await first.view(other) is None  # another worker's, or one's that is no more


async def test_what_vendors_answer_later_is_told_as_a_change(serve: Serve, vendor: Vendor) -> None:
    served = await start(serve, vendor.url)
    vendor.fail("/b", Fault(status=400))
    tester = await begin(served.worker)
    await order(served.port, x_gtm_server_preview=tester.token)
    [came] = (found := await tester.changes()).came
    told: list[Summary] = []

    async def is_told() -> bool:
        told.extend((await tester.changes(found.cursor)).went_on)
        return bool(told) and (told[-1].deliveries.done, told[-1].deliveries.failed) == (1, 1)

    await until(is_told)
    assert {one.id for one in told} == {came.id}
    [delivery] = (await tester.view(came.id))["events"][0]["tags"][1]["deliveries"]
    assert (delivery["status"], delivery["outcome"], delivery["attempts"]) == (400, "dead", 1)


async def test_a_long_list_is_told_in_parts(
    serve: Serve, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previewing, "MOST_AT_ONCE", 2)
    served = await start(serve, vendor.url)
    tester = await begin(served.worker)
    for _ in range(5):
        await order(served.port, x_gtm_server_preview=tester.token)
    await vendor.wait_for(10)
    ids, cursor, has_more = set(), Cursor(), True
    while has_more:
        changes = await tester.changes(cursor)
        assert len(changes.came) + len(changes.went_on) <= 2
        ids |= {one.id for one in changes.came}
        cursor, has_more = changes.cursor, changes.has_more
    assert len(ids) == 5


async def test_a_session_that_ends_takes_its_requests_along(serve: Serve, vendor: Vendor) -> None:
    served = await start(serve, vendor.url)
    tester = await begin(served.worker)
    await order(served.port, x_gtm_server_preview=tester.token)
    [one] = await tester.seen()
    await question(served.worker, "preview-close", tester.session.id, type(None))
    assert await tester.seen() == []
    assert await tester.view(one.id) is None
    await order(served.port, x_gtm_server_preview=tester.token)
    assert await tester.seen() == []


async def test_requests_are_let_go_of_when_memory_is_short(serve: Serve, vendor: Vendor) -> None:
    served = await start(serve, vendor.url)
    tester = await begin(served.worker)
    await order(served.port, x_gtm_server_preview=tester.token)
    served.worker._give_back()
    changes = await tester.changes()
    assert changes.came == []
    assert (changes.cursor.first, changes.cursor.last) == (2, 1)


# -- draft and dry --------------------------------------------------------------------------------


async def test_a_draft_runs_for_its_session_alone_and_really_sends(serve: Serve, vendor: Vendor) -> None:
    written = TWO_VENDORS.replace("VENDOR", vendor.url)
    served = await serve(written)
    tester = await begin(served.worker, "draft", draft=written.replace('/b"', '/draft"'))
    await order(served.port, x_gtm_server_preview=tester.token)
    await order(served.port)
    received = await vendor.wait_for(4)
    assert sorted(one.path for one in received) == ["/a", "/a", "/b", "/draft"]
    [one] = await tester.seen()
    assert (await tester.view(one.id))["container_version"] != served.worker.container.version
    counted = served.worker.counters.snapshot()
    assert counted["sgtm_requests_claimed_total", "Shop"] == 1  # a draft's numbers are nobody's


async def test_a_draft_may_name_paths_that_what_is_published_does_not(serve: Serve, vendor: Vendor) -> None:
    written = TWO_VENDORS.replace("VENDOR", vendor.url)
    served = await serve(written)
    tester = await begin(served.worker, "draft", draft=written.replace("[/data]", "[/new]"))
    assert (await order(served.port, "/new", x_gtm_server_preview=tester.token)).status == 200
    assert (await order(served.port, "/new")).status == 400
    answer = await order(served.port, "/data", x_gtm_server_preview=tester.token)
    assert (answer.status, answer.header("Cache-Control")) == (400, "no-store")


@pytest.mark.parametrize("which", ["published", "draft"])
async def test_a_session_may_send_nothing(serve: Serve, vendor: Vendor, which: Which) -> None:
    written = TWO_VENDORS.replace("VENDOR", vendor.url)
    served = await serve(written)
    draft = written if which == "draft" else ""
    tester = await begin(served.worker, which, draft=draft, sends=False)
    assert (await order(served.port, x_gtm_server_preview=tester.token)).status == 200
    await order(served.port)
    await vendor.wait_for(2)
    [one] = await tester.seen()
    assert (one.tags.fired, one.deliveries.done) == (2, 0)
    assert len(vendor.received) == 2


async def test_a_draft_that_cannot_run_is_refused_in_words(serve: Serve) -> None:
    served = await start(serve, "http://127.0.0.1:1")
    session, _ = Sessions().open(0, 10.0, "draft", sends=True)
    opening = Opening(session, Draft("draft.yaml", BROKEN.encode()))
    problems = await question(served.worker, "preview-open", opening, list[Problem])
    assert any("no_such_client" in problem.what for problem in problems)


# -- the look-back --------------------------------------------------------------------------------


async def test_a_share_of_production_is_kept_masked_and_runs_as_ever(serve: Serve, vendor: Vendor) -> None:
    # SPEC: requirements R225
    written = TWO_VENDORS.replace("VENDOR", vendor.url)
    served = await serve(written, look_back_percent=100.0, look_back_requests=3)
    plain = await serve(written)
    answer = without_date(await order(served.port))
    assert answer == without_date(await order(plain.port))
    for _ in range(4):
        await order(served.port)
    watched = Watched(served.worker, Session(LOOK_BACK, "", 0), "")
    seen = await watched.seen()
    assert [one.source for one in seen] == ["lookback"] * 3
    view = repr(await watched.view(seen[-1].id))
    assert "ann@shop.example" not in view
    assert "order" in view


async def test_nothing_is_kept_where_nobody_asked_for_it(serve: Serve, vendor: Vendor) -> None:
    served = await start(serve, vendor.url)
    await order(served.port)
    watched = Watched(served.worker, Session(LOOK_BACK, "", 0), "")
    assert await watched.seen() == []
    assert served.worker._reception.watch is None  # no request is looked at


async def test_marks_are_taken_out_for_a_while_after_the_last_session(
    serve: Serve, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = await start(serve, vendor.url)
    tester = await begin(served.worker)
    await question(served.worker, "preview-close", tester.session.id, type(None))
    await order(served.port, f"/data?sgtm_preview={tester.token}")
    assert all(tester.token not in repr(one) for one in await vendor.wait_for(2))
    assert served.worker._reception.watch is not None
    monkeypatch.setattr(served.worker.previews, "_marks_until", 0)
    await order(served.port)
    assert served.worker._reception.watch is None  # and then no request is looked at any more
