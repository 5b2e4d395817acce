"""A record is run again through the lanes of the worker that serves; a letter goes when it is done."""

import asyncio
import json
import logging
import time
from typing import Any

import pytest
from conftest import Serve
from containers import client, container, tag
from doubles import eventually
from msgspec.structs import replace
from raw_http import ask

from sgtm.container.container import ContainerPreparation
from sgtm.delivery.letter import letter_id
from sgtm.delivery.outbox.records import write_record
from sgtm.demo.vendor import Fault, Vendor
from sgtm.dry_run import PLAIN_REQUEST
from sgtm.messages import Answer, Claimed, Declined, OutgoingRequest, Record
from sgtm.observability.walk import WalkedTransformation
from sgtm.server.letters import view_of
from sgtm.server.replaying import Asked, Item

# SPEC: R301 (a letter of what raised; replay runs only the named tag), R302 (safe to run twice), R238.

EVENTS = [{"event_name": "purchase", "value": 9}, {"event_name": "refund", "value": 3}]


def hits(events: Any = EVENTS) -> Any:
    return client(lambda _: Claimed(events, Answer(204)), paths=("/c",))


def sending(vendor: Vendor, path: str = "/in") -> Any:
    def build(event: Any) -> list[OutgoingRequest]:
        body = f"{event.name} {event.request.seed} {event.request.received_micros} {event.index}"
        return [OutgoingRequest("POST", vendor.url + path, body=body.encode())]

    return build


def raising(event: Any) -> list[OutgoingRequest]:
    raise KeyError("the person's name")


async def letters(served: Any) -> list[Any]:
    return [kept.letter for kept in await served.worker.outbox.letters()]


async def settled(served: Any) -> None:
    await eventually(lambda: not len(served.worker.outbox))


def item_of(kept: Any) -> Item:
    return Item(kept.letter.id, slot=0, letter=kept.letter.id, number=kept.number)


def record_item(record: Record, key: str = "") -> Item:
    group = bytearray()
    write_record(record, group)
    return Item(key or f"{record.request.seed:x}", bytes(group))


async def replayed(served: Any, *items: Item, replay: str = "r", **asked: Any) -> list[Any]:
    """Until none is under way."""
    async with asyncio.timeout(20):
        while True:
            answers = await served.worker.replays.run(Asked(replay, list(items), **asked))
            if all(one.state not in ("under way", "busy") for one in answers):
                return [(one.state, one.requests) for one in answers]
            await asyncio.sleep(0.02)


# -- what leaves a letter -------------------------------------------------------------------------


async def test_what_a_vendor_refuses_for_good_leaves_a_letter(serve: Serve, vendor: Vendor) -> None:
    vendor.fail("/in", Fault(status=400, body=b'{"error": "bad"}'))
    served = await serve(container([hits(EVENTS[:1])], [tag(sending(vendor), "Vendor")]))
    await ask(served.port, "/c?x=1")
    await settled(served)
    (letter,) = await letters(served)
    assert (letter.kind, letter.tag, letter.event_name, letter.event_index) == (
        "delivery",
        "Vendor",
        "purchase",
        0,
    )
    assert (letter.attempts, letter.status, letter.answer) == (1, 400, '{"error": "bad"}')
    assert letter.destination == vendor.url
    assert letter.keys == ("event_name", "value")
    assert letter.record.request.query == b"x=1"
    assert letter.container_version == letter.record.container_version == "v1"
    assert served.worker.counters.value("sgtm_letters_total", "Vendor") == 1
    assert served.worker.gauges()["sgtm_letters"] == 1


async def test_a_tag_that_raises_leaves_a_letter_for_each_event(serve: Serve, vendor: Vendor) -> None:
    served = await serve(container([hits()], [tag(raising, "Broken"), tag(sending(vendor), "Good")]))
    await ask(served.port, "/c")
    await vendor.wait_for(2, "/in")
    await settled(served)
    assert [(one.kind, one.tag, one.event_index, one.reason) for one in await letters(served)] == [
        ("build", "Broken", 0, "raised KeyError"),
        ("build", "Broken", 1, "raised KeyError"),
    ]


async def test_a_request_that_made_a_client_raise_leaves_a_letter_without_credentials(serve: Serve) -> None:
    def broken(request: Any) -> Claimed:
        raise ValueError("text of the visitor")

    served = await serve(container([client(broken, "Shop", paths=("/c",))]))
    answer = await ask(served.port, "/c?q=1&api_secret=hush", headers={"Authorization": "Bearer hush"})
    assert answer.status == 400
    (letter,) = await letters(served)
    assert (letter.kind, letter.tag, letter.reason) == ("build", "", "client 'Shop' raised ValueError")
    assert letter.record.request.query == b"q=1"
    assert b"hush" not in repr(letter.record).encode()


async def test_a_client_that_raises_before_one_that_claims_leaves_none(serve: Serve) -> None:
    def broken(request: Any) -> Claimed:
        raise ValueError

    served = await serve(container([client(broken, "Shop", paths=("/c",)), hits()]))
    assert (await ask(served.port, "/c")).status == 204
    assert await letters(served) == []


async def test_crafted_requests_cannot_fill_the_disk(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns() // 1000
    monkeypatch.setattr("sgtm.unclaimed.now_micros", lambda: now)

    def broken(request: Any) -> Claimed:
        raise ValueError

    served = await serve(container([client(broken, "Shop", paths=("/c",))]))
    for _ in range(65):
        await ask(served.port, "/c")
    assert len(await letters(served)) == 60
    assert served.worker.counters.value("sgtm_letters_not_kept_total", "too many unclaimed requests") == 5


async def test_a_request_that_no_client_wants_leaves_none(serve: Serve) -> None:
    served = await serve(container([client(lambda _: Declined("not mine"), paths=("/c",))]))
    await ask(served.port, "/c")
    assert await letters(served) == []


# -- replay of letters ----------------------------------------------------------------------------


async def test_a_mended_tag_sends_what_an_undisturbed_run_sends(serve: Serve, vendor: Vendor) -> None:
    broken = container([hits()], [tag(raising, "Vendor"), tag(sending(vendor, "/other"), "Other")])
    served = await serve(broken)
    await ask(served.port, "/c")
    await settled(served)
    kept = await served.worker.outbox.letters()
    record = kept[0].letter.record
    served.worker.reload(replace(container([hits()], [tag(sending(vendor), "Vendor")]), version="v2"))
    assert await replayed(served, *map(item_of, kept)) == [("sent", 1), ("sent", 1)]
    # the same ids and times as on the day: what the tag would have sent from this record
    expected = [
        f"{name} {record.request.seed} {record.request.received_micros} {index}".encode()
        for index, name in enumerate(("purchase", "refund"))
    ]
    assert sorted(one.body for one in vendor.requests("/in")) == sorted(expected)
    assert len(vendor.requests("/other")) == 2, "the other tag was not run again"
    assert await letters(served) == []


async def test_a_letter_stays_until_its_replay_is_settled(serve: Serve, vendor: Vendor) -> None:
    vendor.fail("/in", Fault(status=400))
    served = await serve(container([hits(EVENTS[:1])], [tag(sending(vendor), "Vendor")]))
    await ask(served.port, "/c")
    await settled(served)
    (kept,) = await served.worker.outbox.letters()
    vendor.fail("/in", Fault(latency_ms=3_000))
    (answer,) = await served.worker.replays.run(Asked("r", [item_of(kept)]))
    assert answer.state == "under way"
    assert len(await letters(served)) == 1
    assert await replayed(served, item_of(kept)) == [("sent", 1)]
    assert await letters(served) == []
    assert len(vendor.requests("/in")) == 2, "asking again is not sending again"


async def test_what_dies_again_is_one_letter_again(serve: Serve, vendor: Vendor) -> None:
    vendor.fail("/in", Fault(status=400))
    served = await serve(container([hits(EVENTS[:1])], [tag(sending(vendor), "Vendor")]))
    await ask(served.port, "/c")
    await settled(served)
    (kept,) = await served.worker.outbox.letters()
    vendor.fail("/in", Fault(status=410, body=b"second"))
    assert await replayed(served, item_of(kept)) == [("dead", 1)]
    (letter,) = await letters(served)
    assert (letter.id, letter.status) == (kept.letter.id, 410)


async def test_a_letter_whose_tag_is_gone_or_does_not_fire_stays(serve: Serve, vendor: Vendor) -> None:
    served = await serve(container([hits(EVENTS[:1])], [tag(raising, "Vendor")]))
    await ask(served.port, "/c")
    (kept,) = await served.worker.outbox.letters()
    served.worker.reload(container([hits(EVENTS[:1])], []))
    assert await replayed(served, item_of(kept)) == [("unknown", 0)]
    served.worker.reload(container([hits(EVENTS[:1])], [tag(lambda _: [], "Vendor")]))
    assert await replayed(served, item_of(kept)) == [("nothing", 0)]
    assert len(await letters(served)) == 1


async def test_a_request_that_is_claimed_now_runs_whole_and_its_letter_goes(
    serve: Serve, vendor: Vendor
) -> None:
    def broken(request: Any) -> Claimed:
        raise ValueError

    served = await serve(container([client(broken, "Shop", paths=("/c",))]))
    await ask(served.port, "/c")
    (kept,) = await served.worker.outbox.letters()
    assert await replayed(served, item_of(kept)) == [("dead", 0)]
    (kept,) = await served.worker.outbox.letters()
    served.worker.reload(container([hits()], [tag(sending(vendor), "Vendor")]))
    assert await replayed(served, item_of(kept), replay="second") == [("sent", 2)]
    assert await letters(served) == []
    assert await replayed(served, item_of(kept), replay="third") == [("unknown", 0)]


# -- replay of records ----------------------------------------------------------------------------


async def recorded(serve: Serve, vendor: Vendor, **changes: Any) -> tuple[Any, Record]:
    """A server, and a record that came in."""
    served = await serve(container([hits(EVENTS[:1])], [tag(raising, "Gone")]), **changes)
    await ask(served.port, "/c?x=1")
    (letter,) = await letters(served)
    await served.worker.outbox.forget([letter.id])
    return served, letter.record


async def test_a_record_is_run_for_a_tag_that_was_added_later_and_once(serve: Serve, vendor: Vendor) -> None:
    served, record = await recorded(serve, vendor)
    tags = [tag(sending(vendor), "New"), tag(sending(vendor, "/other"), "Other")]
    served.worker.reload(container([hits()], tags))
    for _ in range(2):
        assert await replayed(served, record_item(record), tags=["New"]) == [("sent", 2)]
    assert len(vendor.requests("/in")) == 2
    assert not vendor.requests("/other")


async def test_only_events_that_are_asked_for_run(serve: Serve, vendor: Vendor) -> None:
    served, record = await recorded(serve, vendor)
    served.worker.reload(container([hits()], [tag(sending(vendor), "New")]))
    item = record_item(record)
    assert await replayed(served, item, where=[("event_name", "refund"), ("value", "3")]) == [("sent", 1)]
    assert vendor.requests("/in")[0].body.startswith(b"refund")
    assert await replayed(served, item, replay="2", where=[("value", "4")]) == [("nothing", 0)]


async def test_what_the_vendor_takes_no_more_is_passed_over_and_leaves_no_letter(
    serve: Serve, vendor: Vendor
) -> None:
    def late(event: Any) -> list[OutgoingRequest]:
        expires = event.request.received_micros + 60 * 1_000_000
        return [OutgoingRequest("POST", vendor.url + "/in", expires_micros=expires)]

    served, record = await recorded(serve, vendor)
    served.worker.reload(container([hits(EVENTS[:1])], [tag(late, "New")]))
    old = replace(record.request, received_micros=int((time.time() - 3600) * 1e6))
    assert await replayed(served, record_item(Record(old, "v1"))) == [("too old", 0)]
    assert await letters(served) == []
    assert not vendor.requests("/in")


async def test_old_records_have_the_whole_time_of_their_tag_from_the_replay_on(
    serve: Serve, vendor: Vendor
) -> None:
    # `expires_after_s` (a day) counts from the receipt of a hit; here from when somebody asks for it
    served, record = await recorded(serve, vendor)
    served.worker.reload(container([hits(EVENTS[:1])], [tag(sending(vendor), "New")]))
    old = replace(record.request, received_micros=int((time.time() - 30 * 86_400) * 1e6))
    assert await replayed(served, record_item(Record(old, "v1"))) == [("sent", 1)]


async def test_a_damaged_record_is_said(serve: Serve, vendor: Vendor) -> None:
    served, record = await recorded(serve, vendor)
    item = record_item(record)
    item.record = item.record[:-1] + b"\0"
    assert await replayed(served, item) == [("unknown", 0)]


# -- nothing personal is shown --------------------------------------------------------------------


async def test_no_view_log_line_or_metric_holds_what_a_person_sent(
    serve: Serve, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = "jane-canary@shop.example"
    data = {"event_name": canary, canary: 1, "user_data": {"email": canary}}
    vendor.fail("/in", Fault(status=400, body=canary.encode()))
    served = await serve(container([hits([data])], [tag(sending(vendor), "Vendor"), tag(raising, "Broken")]))
    await ask(served.port, f"/c?email={canary}", headers={"X-Person": canary})
    await settled(served)
    kept = await served.worker.outbox.letters()
    assert len(kept) == 2
    for one in kept:
        assert canary not in repr(view_of(one, 0, reveal=False))
        assert canary in repr(view_of(one, 0, reveal=True))
    assert sorted(await replayed(served, *map(item_of, kept))) == [("dead", 0), ("dead", 1)]
    assert canary not in caplog.text
    assert canary not in repr(served.worker.counters.snapshot())


def test_an_id_is_of_one_tag_and_event() -> None:
    record = Record(replace(PLAIN_REQUEST, seed=1), "v1")
    ids = {letter_id(record, index, name) for index in (None, 0, 1) for name in ("", "a", "b")}
    assert len(ids) == 9


# -- batches, preparations ------------------------------------------------------------------------

META = """sgtm: 1
name: shop
consent: {{unset: granted, gate: declared}}
clients:
  - {{name: Shop, type: json, parameters: {{paths: [/data]}}}}
tags:
  - name: Meta
    type: meta_conversions
    firing_triggers: [All Events]
    delivery: {{linger_ms: 300}}
    parameters: {{pixel_id: "1", access_token: "${{META_TOKEN}}", endpoint: "{url}"}}
"""


class Picky(Vendor):
    """A Meta that does not like one event."""

    def _meta_fault(self, event: dict[str, Any]) -> int:
        return 2_804_050 if event.get("event_id") == "poison" else 0


async def test_a_poison_event_in_a_batch_ends_as_exactly_one_letter(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SPEC: meta-capi 13: one bad event rejects the whole array
    monkeypatch.setenv("META_TOKEN", "token")
    async with Picky() as meta:
        served = await serve(META.format(url=meta.url))

        async def send(number: int) -> None:
            data = {
                "event_name": "purchase",
                "event_id": "poison" if number == 5 else f"e{number}",
                "value": 1,
                "currency": "EUR",
                "user_data": {"email_address": f"jane{number}@shop.example"},
            }
            headers = {"Content-Type": "application/json"}
            body = json.dumps(data).encode()
            assert (await ask(served.port, "/data", method="POST", headers=headers, body=body)).status < 300

        await asyncio.gather(*(send(number) for number in range(12)))
        await settled(served)
        (letter,) = await letters(served)
        assert (letter.tag, letter.kind, letter.status, letter.event_name) == (
            "Meta",
            "delivery",
            400,
            "purchase",
        )
        assert b"poison" in letter.record.request.body
        accepted = [one.json()["data"] for one in meta.requests("/v") if one.status == 200]
        ids = sorted(event["event_id"] for events in accepted for event in events)
        assert ids == sorted(f"e{number}" for number in range(12) if number != 5)
        assert max(len(one.json()["data"]) for one in meta.requests("/v")) > 1, "it was a batch"
        # mended at the vendor's end: the replay sends the same event
        refused = [one.json()["data"] for one in meta.requests("/v") if one.status == 400]
        before = next(event for events in refused for event in events if event["event_id"] == "poison")
        monkeypatch.setattr(meta, "_meta_fault", lambda event: 0)
        (kept,) = await served.worker.outbox.letters()
        assert await replayed(served, item_of(kept)) == [("sent", 1)]
        assert meta.requests("/v")[-1].json()["data"] == [before]
        assert await letters(served) == []


async def test_a_preparation_that_raises_leaves_a_letter_of_its_event(serve: Serve, vendor: Vendor) -> None:
    def prepare(view: Any) -> Any:
        if view.event.name == "refund":
            raise KeyError("secret of the visitor")
        return view.event.data

    explained = WalkedTransformation("Enrich", has_applied=True, before={}, after={})
    broken = ContainerPreparation("Enrich", lambda view: True, prepare, lambda view: explained)
    whole = container([hits()], [tag(sending(vendor), "Vendor")])
    served = await serve(replace(whole, preparations=(broken,)))
    await ask(served.port, "/c")
    await settled(served)
    (kept,) = await served.worker.outbox.letters()
    letter = kept.letter
    assert (letter.kind, letter.tag, letter.event_index) == ("build", "", 1)
    assert letter.reason == "preparation 'Enrich' raised KeyError"
    served.worker.reload(whole)
    assert await replayed(served, item_of(kept)) == [("sent", 1)]
    bodies = [one.body.split()[0] for one in vendor.requests("/in")]
    assert bodies == [b"purchase", b"refund"], "the other event is not sent again"
