import json

import aiohttp
import pytest

from sgtm.demo.vendor import Fault, Vendor

# SPEC: meta-capi 2, 3, 4.7, 13; ga4-protocol (collect is answered 204).
NOW_S = 1_764_000_000
META = "/v25.0/123/events"


def event(**changes):
    return {"event_name": "PageView", "event_time": NOW_S, "user_data": {"em": ["x"]}, **changes}


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def vendor():
    async with Vendor(tokens=frozenset({"good"}), now_s=lambda: NOW_S) as running:
        yield running


async def post_meta(session, vendor, events, token="good", path=META):
    body = events if isinstance(events, bytes) else json.dumps({"data": events}).encode()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with session.post(vendor.url + path, data=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_ga4_hits_are_answered_204_and_recorded_as_they_came(session, vendor):
    for method, target in [
        ("POST", "/g/collect?v=2&dl=a%2Fb"),
        ("GET", "/g/collect?v=2"),
        ("POST", "/mp/collect"),
    ]:
        async with session.request(
            method, vendor.url + target, data=b"en=x" if method == "POST" else None
        ) as answer:
            assert answer.status == 204
    first, second, third = vendor.received
    assert (first.method, first.path, first.body, first.status) == ("POST", "/g/collect", b"en=x", 204)
    assert second.query == "v=2"
    assert vendor.requests("/mp") == [third]
    assert third.header("HOST") == vendor.url.removeprefix("http://")


async def test_the_validation_endpoint_answers_with_an_empty_list(session, vendor):
    async with session.post(vendor.url + "/debug/mp/collect", data=b"{}") as answer:
        assert await answer.json() == {"validationMessages": []}


async def test_good_events_are_received(session, vendor):
    status, answer = await post_meta(session, vendor, [event(), event()])
    assert status == 200
    assert answer["events_received"] == 2
    assert answer["fbtrace_id"]


@pytest.mark.parametrize(
    ("bad", "subcode"),
    [
        ({"event_time": NOW_S - 7 * 86_400 - 1}, 2_804_003),
        ({"event_time": "yesterday"}, 2_804_003),
        ({"user_data": {}}, 2_804_050),
        ({"event_name": "Purchase"}, 2_804_009),
        ({"event_name": "Purchase", "custom_data": {"value": 1.0}}, 2_804_009),
        ({"event_name": ""}, 2_804_001),
    ],
)
async def test_one_bad_event_rejects_the_whole_array(session, vendor, bad, subcode):
    status, answer = await post_meta(session, vendor, [event(), event(**bad), event()])
    assert status == 400
    assert (answer["error"]["code"], answer["error"]["error_subcode"]) == (100, subcode)


async def test_a_complete_purchase_is_good(session, vendor):
    good = event(event_name="Purchase", custom_data={"value": 1.0, "currency": "EUR"})
    assert (await post_meta(session, vendor, [good]))[0] == 200


@pytest.mark.parametrize(
    "events", [b"not json", b"[]", b'{"data":7}', b'{"data":[1]}', [], [event()] * 1_001]
)
async def test_what_is_no_array_of_1_to_1000_events_is_code_100(session, vendor, events):
    status, answer = await post_meta(session, vendor, events)
    assert (status, answer["error"]["code"]) == (400, 100)


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_a_bad_token_is_code_190(session, vendor, token):
    status, answer = await post_meta(session, vendor, [event()], token)
    assert (status, answer["error"]["code"]) == (401, 190)


async def test_the_token_may_stand_in_the_query_too(session, vendor):
    assert (await post_meta(session, vendor, [event()], "", META + "?access_token=good"))[0] == 200


async def test_a_fault_belongs_to_the_longest_prefix_and_may_end_by_itself(session, vendor):
    vendor.fail("/a", Fault(status=500))
    vendor.fail("/a/b", Fault(status=429, headers=(("Retry-After", "7"),), body=b"later", times=2))
    statuses = []
    for path in ("/a", "/a/b", "/a/b", "/a/b", "/c"):
        async with session.post(vendor.url + path) as answer:
            statuses.append(answer.status)
            if answer.status == 429:
                assert answer.headers["Retry-After"] == "7"
                assert await answer.read() == b"later"
    assert statuses == [500, 429, 429, 500, 204]
    vendor.fail("/a", None)
    async with session.post(vendor.url + "/a") as answer:
        assert answer.status == 204


async def test_wait_for_returns_what_has_arrived_and_times_out(session, vendor):
    async with session.post(vendor.url + "/x"):
        assert len(await vendor.wait_for(1, "/x")) == 1
    with pytest.raises(TimeoutError):
        await vendor.wait_for(2, "/x", timeout_s=0.05)


async def test_only_the_latest_requests_are_kept(session):
    async with Vendor(keeps=2) as vendor:
        for number in range(4):
            async with session.post(f"{vendor.url}/{number}"):
                pass
        assert [received.path for received in vendor.received] == ["/2", "/3"]


async def read_all(session, url):
    async with session.post(url, timeout=aiohttp.ClientTimeout(total=0.2)) as answer:
        while await answer.content.readany():
            pass


@pytest.mark.parametrize("breaks", ["before answering", "after headers", "half body", "reset", "chunk bomb"])
async def test_a_broken_off_answer_is_recorded_with_status_0_and_the_server_still_ends(session, breaks):
    async with Vendor() as vendor:
        vendor.fail("/", Fault(breaks=breaks))
        with pytest.raises((aiohttp.ClientError, TimeoutError)):
            await read_all(session, vendor.url + "/")
        assert [received.status for received in vendor.received] == [0]
