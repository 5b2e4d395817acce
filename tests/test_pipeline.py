"""The corridor without a network: small components, an outbox that notes what it is told, lanes
that settle when the test says so."""

import asyncio

import pytest
from cases import make_request
from corridor import REQUEST, Nothing, claim, make_client, make_container, make_pipeline, make_tag, send_one
from doubles import HeldLanes, NotedCommit, NotingOutbox

from sgtm.container.container import ContainerVariable, Origins
from sgtm.delivery.delivery import HandedBack
from sgtm.delivery.outbox import OutboxUnavailable
from sgtm.delivery.outbox.held import Hold
from sgtm.errors import ParametersError
from sgtm.messages import (
    DONE,
    Answer,
    Claimed,
    Cookie,
    Declined,
    Outcome,
    OutgoingRequest,
    Pending,
    ServeScript,
    TagResult,
)
from sgtm.observability.metrics import Counters
from sgtm.observability.walk import Walk
from sgtm.pipeline import Pipeline


def test_the_first_client_that_claims_owns_the_request_and_the_others_are_not_asked():
    asked = []

    def say(name, said):
        return make_client(lambda request: asked.append(name) or said, name)

    clients = [say("a", Declined("not mine")), say("b", claim("e")), say("c", claim("e"))]
    walk = Walk()
    answer = make_pipeline(make_container(clients)).run(REQUEST, walk)
    assert answer == Answer(204, (("Cache-Control", "no-store"),))
    assert asked == ["a", "b"]
    assert (walk.declined, walk.claimed_by) == ([("a", "not mine")], "b")


def test_what_nobody_claims_gets_the_configured_status_is_counted_and_hints_at_the_nearest_path():
    # SPEC: requirements R43, R261
    container = make_container(
        [make_client(lambda r: Declined("no"), paths=("/g/collect",))], unclaimed_status=404
    )
    pipeline, walk = make_pipeline(container), Walk()
    assert pipeline.run(make_request({"target": "/g/colect"}), walk).status == 404
    assert pipeline._counters.value("sgtm_requests_unclaimed_total") == 1
    assert "nearest client path is /g/collect" in walk.warnings[0]


def test_a_client_that_raises_is_passed_over_and_named_without_the_text_of_the_exception(caplog):
    def explode(request):
        raise ValueError("jane@shop.example")

    container = make_container([make_client(explode, "bad"), make_client(lambda r: claim("e"), "good")])
    walk = Walk()
    assert make_pipeline(container).run(REQUEST, walk).status == 204
    assert walk.declined == [("bad", "raised ValueError")]
    assert "jane" not in caplog.text


@pytest.mark.parametrize(
    "nonsense",
    [
        None,
        7,
        Answer(204),
        Claimed(["no dict"], Answer(204)),
        Claimed,
        Claimed([{}], Answer(204), repeat_keys="ab"),
    ],
)
def test_a_client_that_says_what_no_client_can_say_has_failed(nonsense):
    walk = Walk()
    assert make_pipeline(make_container([make_client(lambda r: nonsense)])).run(REQUEST, walk).status == 400
    assert walk.declined == [("client", "raised TypeError")]


@pytest.mark.parametrize("nonsense", [None, 7, ["no request"], TagResult(requests=(1,)), {"url": "x"}])
def test_a_tag_that_returns_what_no_tag_can_return_has_failed_alone(nonsense):
    lanes, walk, outbox = HeldLanes(), Walk(), NotingOutbox()
    tags = [make_tag(lambda event: nonsense, "bad"), make_tag(send_one, "good")]
    make_pipeline(make_container([make_client(lambda r: claim("e"))], tags), outbox, lanes).run(REQUEST, walk)
    assert [delivery.tag for delivery in lanes.deliveries] == ["good"]
    assert outbox.told[-1] == ("ran", 7, frozenset({"good"})), "what failed owes nothing"
    assert [tag.outcome for tag in walk.events[0].tags] == ["failed", "fired"]


def test_a_hit_with_nothing_to_wait_for_gets_its_answer_without_an_event_loop():
    lanes, outbox = HeldLanes(), NotingOutbox()
    pipeline = make_pipeline(
        make_container([make_client(lambda r: claim("e"))], [make_tag(send_one)]), outbox, lanes
    )
    assert isinstance(pipeline.run(REQUEST), Answer), "the vendor has not answered yet"
    assert [told[0] for told in outbox.told] == ["append", "ran"]
    lanes.deliveries[0].on_settled(DONE)
    assert outbox.told[-1] == ("settle", 7, "tag")


def test_a_tag_is_settled_once_when_all_its_requests_of_all_events_of_the_record_are():
    lanes, outbox = HeldLanes(), NotingOutbox()
    two = make_tag(lambda event: send_one(event) * 2, "two")
    container = make_container([make_client(lambda r: claim("a", "b"))], [two])
    make_pipeline(container, outbox, lanes).run(REQUEST)
    assert outbox.told[-1] == ("ran", 7, frozenset({"two"}))
    for delivery in list(lanes.deliveries)[:3]:
        delivery.on_settled(Outcome("dead"))
    assert outbox.told[-1][0] == "ran"
    lanes.deliveries[3].on_settled(DONE)
    assert outbox.told[2:] == [("settle", 7, "two")]


def test_a_request_that_settles_at_once_owes_nothing_when_the_tags_have_run():
    outbox = NotingOutbox()
    container = make_container([make_client(lambda r: claim("a", "b"))], [make_tag(send_one)])
    make_pipeline(container, outbox, HeldLanes(DONE)).run(REQUEST)
    assert outbox.told[1:] == [("ran", 7, frozenset())]


def test_what_the_lanes_hand_back_is_still_owed_and_waits_once_nothing_of_the_tag_is_under_way():
    lanes, outbox = HeldLanes(), NotingOutbox()
    two = make_tag(lambda event: send_one(event) * 2, "two")
    make_pipeline(make_container([make_client(lambda r: claim("a"))], [two]), outbox, lanes).run(REQUEST)
    lanes.deliveries[0].on_settled(HandedBack("retry", destination="there", expires_micros=9))
    assert outbox.told[-1][0] == "ran"
    lanes.deliveries[1].on_settled(DONE)
    assert outbox.told[2:] == [("hand back", 7, Hold("two", "there"), 9)]
    at_once = NotingOutbox()
    container = make_container([make_client(lambda r: claim("a"))], [two])
    make_pipeline(container, at_once, HeldLanes(HandedBack("retry", expires_micros=9))).run(REQUEST)
    assert at_once.told[1:] == [
        ("ran", 7, frozenset({"two"})),
        ("hand back", 7, Hold("two", ()), 9),
    ]


def test_an_event_that_no_client_made_is_not_recorded():
    outbox = NotingOutbox()
    assert make_pipeline(make_container([make_client(lambda r: claim())]), outbox).run(REQUEST).status == 204
    assert outbox.told == []


def test_a_full_outbox_is_a_503_that_says_when_to_come_back():
    pipeline = make_pipeline(make_container([make_client(lambda r: claim("e"))]), NotingOutbox(is_full=True))
    assert pipeline.run(REQUEST) == Answer(503, (("Cache-Control", "no-store"), ("Retry-After", "5")))


def test_one_failing_tag_changes_nothing_for_the_others():
    # SPEC: requirements R6
    def explode(event):
        raise KeyError("jane@shop.example")

    def misfit(view):
        raise ParametersError("expected int", where="parameters.x")

    lanes, walk = HeldLanes(), Walk()
    tags = [
        make_tag(explode, "bad"),
        make_tag(send_one, "misfit", parameters=misfit),
        make_tag(send_one, "good"),
    ]
    make_pipeline(make_container([make_client(lambda r: claim("e"))], tags), None, lanes).run(REQUEST, walk)
    assert [delivery.tag for delivery in lanes.deliveries] == ["good"]
    assert [(t.name, t.outcome, t.reason) for t in walk.events[0].tags] == [
        ("bad", "failed", "raised KeyError"),
        ("misfit", "failed", "parameters.x: expected int"),
        ("good", "fired", ""),
    ]


def test_a_variable_that_raises_is_counted_by_name():
    def explode(view):
        view.failed_variables += ("v",)
        return False

    variable = ContainerVariable("v", explode)
    tag = make_tag(send_one, parameters=lambda view: Nothing() if view.value(0) is False else None)
    pipeline = make_pipeline(
        make_container([make_client(lambda r: claim("e"))], [tag, tag], variables=(variable,))
    )
    pipeline.run(REQUEST)
    assert pipeline._counters.value("sgtm_variable_errors_total", "v") == 1, "evaluated once per view"


def test_consent_holds_a_tag_back_with_the_reason_and_never_the_claim():
    # SPEC: requirements R171, R281, R50
    denied = Claimed([{"event_name": "e", "x-ga-gcs": "G101"}], Answer(204))
    tags = [make_tag(send_one, "ads", consent=("ad_storage",)), make_tag(send_one, "plain")]
    lanes, walk = HeldLanes(), Walk()
    make_pipeline(make_container([make_client(lambda r: denied)], tags), None, lanes).run(REQUEST, walk)
    assert [delivery.tag for delivery in lanes.deliveries] == ["plain"]
    assert walk.events[0].tags[0].reason == "consent not granted: ad_storage"


@pytest.mark.parametrize(("is_granted", "fired"), [(True, 1), (False, 0)])
def test_unset_consent_counts_as_the_container_says(is_granted, fired):
    unset = Claimed([{"event_name": "e"}], Answer(204))
    container = make_container(
        [make_client(lambda r: unset)],
        [make_tag(send_one, consent=("ad_storage",))],
        is_unset_consent_granted=is_granted,
    )
    lanes = HeldLanes()
    make_pipeline(container, None, lanes).run(REQUEST)
    assert len(lanes.deliveries) == fired


def test_hits_sent_again_fire_only_tags_that_could_not_fire_before_if_the_owner_says_so():
    # SPEC: ga4-protocol 11.1.4
    data = {
        "event_name": "e",
        "x-ga-gcu": "1",
        "x-ga-gcd": "13t3t3t3t5l1",
        "x-sst-system_properties": {"gcut": "1"},
    }
    tags = [
        make_tag(send_one, "ga4", is_consent_aware=True),
        make_tag(send_one, "ads", consent=("ad_storage",)),
        make_tag(send_one, "analytics", consent=("analytics_storage",)),
        make_tag(send_one, "ungated"),
    ]
    fired = {}
    for policy in ("fire", "ga4_only"):
        lanes = HeldLanes()
        again = Claimed([data], Answer(204), resent_hits=policy)
        make_pipeline(make_container([make_client(lambda r, c=again: c)], tags), None, lanes).run(REQUEST)
        fired[policy] = [delivery.tag for delivery in lanes.deliveries]
    assert fired == {"fire": ["ga4", "ads", "analytics", "ungated"], "ga4_only": ["ga4", "ads"]}


def test_a_hit_that_comes_twice_is_one_event_if_its_client_asks_for_that():
    # SPEC: requirements R115
    said = Claimed([{"event_name": "a"}, {"event_name": "b"}], Answer(204), repeat_keys=("1", "2"))
    lanes, outbox = HeldLanes(), NotingOutbox()
    pipeline = make_pipeline(
        make_container([make_client(lambda r: said)], [make_tag(send_one)]), outbox, lanes
    )
    pipeline.run(REQUEST)
    walk = Walk()
    assert pipeline.run(REQUEST, walk).status == 204
    assert len(lanes.deliveries) == 2
    assert [event.note for event in walk.events] == ["dropped: the same hit had come before"] * 2
    assert pipeline._counters.value("sgtm_events_repeated_total", "client") == 2
    assert outbox.told[-1] == ("ran", 7, frozenset()), "a repeat owes nothing"


async def test_a_hit_that_was_refused_is_no_repeat_when_it_comes_again():
    # SPEC: requirements R115; design.md Delivery: only what is committed is acknowledged
    said = Claimed([{"event_name": "a"}], Answer(204), repeat_keys=("1",))
    first, second, third, fourth = commits = [asyncio.Future() for _ in range(4)]
    waiting = iter(commits)
    lanes, outbox = HeldLanes(), NotingOutbox()
    outbox.append = lambda record: (0, next(waiting))
    pipeline = make_pipeline(
        make_container([make_client(lambda r: said)], [make_tag(send_one)]), outbox, lanes
    )
    answers = [asyncio.ensure_future(pipeline.run(REQUEST)) for _ in range(2)]  # the second repeats the first
    assert len(lanes.deliveries) == 1
    first.set_exception(OutboxUnavailable("failed"))
    second.set_result(None)
    assert [answer.status for answer in await asyncio.gather(*answers)] == [503, 503]
    third.set_result(None)
    assert (await pipeline.run(REQUEST)).status == 204
    assert len(lanes.deliveries) == 2, "what comes again is an event of its own"
    fourth.set_result(None)
    assert (await pipeline.run(REQUEST)).status == 204
    assert len(lanes.deliveries) == 2, "and known from then on"


def test_what_identifies_the_person_is_counted_by_key():
    # SPEC: requirements R137
    tag = make_tag(lambda event: TagResult(tuple(send_one(event)), match_keys=("em", "fbp")), "Meta")
    pipeline, walk = make_pipeline(make_container([make_client(lambda r: claim("a", "b"))], [tag])), Walk()
    pipeline.run(REQUEST, walk)
    assert pipeline._counters.value("sgtm_match_keys_total", "Meta/em") == 2
    assert walk.events[0].tags[0].match_keys == ("em", "fbp")


def test_cookies_of_client_and_tags_are_in_the_answer_and_a_bad_one_is_left_out():
    cookie, bad = Cookie("_fbp", "fb.1.2.3", 100), Cookie("x", "a\r\nSet-Cookie: y", 1)
    container = make_container(
        [make_client(lambda r: claim("e", answer=Answer(200, (), b"", (Cookie("FPID", "v", 10),))))],
        [make_tag(lambda event: TagResult(cookies=(cookie, bad)))],
    )
    answer = make_pipeline(container).run(REQUEST)
    cookies = [value for name, value in answer.headers if name == "Set-Cookie"]
    assert [value.partition("=")[0] for value in cookies] == ["FPID", "_fbp"]
    assert all("Domain=shop.example" in value for value in cookies)


def test_a_cookie_that_several_events_set_is_in_the_answer_once_and_the_last_word_counts():
    tag = make_tag(lambda event: TagResult(cookies=(Cookie("_fbp", event.name, 100),)))
    answer = make_pipeline(make_container([make_client(lambda r: claim("a", "b"))], [tag])).run(REQUEST)
    assert [value.partition(";")[0] for name, value in answer.headers if name == "Set-Cookie"] == ["_fbp=b"]


def test_pixels_that_the_client_cannot_ask_for_leave_the_plain_answer():
    tags = [make_tag(lambda event: TagResult(pixels=("https://p.example/",)))]
    said = claim("e", answer_with_pixels=lambda pixels: 1 / 0)
    assert make_pipeline(make_container([make_client(lambda r: said)], tags)).run(REQUEST).status == 204


def test_pixels_reach_the_browser_only_where_the_hit_can_take_them():
    tags = [make_tag(lambda event: TagResult(pixels=("https://p.example/",)))]
    can = claim("e", answer_with_pixels=lambda pixels: Answer(200, (), pixels[0].encode()))
    assert (
        make_pipeline(make_container([make_client(lambda r: can)], tags)).run(REQUEST).body
        == b"https://p.example/"
    )
    assert make_pipeline(make_container([make_client(lambda r: claim("e"))], tags)).run(REQUEST).status == 204


def origin(value, method="GET"):
    return make_request({"target": "/c", "method": method, "headers": {"Origin": value}})


SHOP = Origins(frozenset({"https://shop.example"}), (("https://", ".shop.example"),))


def test_an_allowed_origin_is_reflected_with_credentials():
    # SPEC: requirements R198
    pipeline = make_pipeline(make_container([make_client(lambda r: claim("e"), origins=SHOP)]))
    for value in ("https://shop.example", "https://a.b.shop.example"):
        headers = dict(pipeline.run(origin(value)).headers)
        assert headers["Access-Control-Allow-Origin"] == value
        assert headers["Access-Control-Allow-Credentials"] == "true"
        assert headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    "value",
    ["https://evilshop.example", "http://shop.example", "null", "https://shop.example.evil", "https://x.com"],
)
def test_an_origin_that_is_not_allowed_gets_403_no_cors_headers_and_no_tag(value):
    # SPEC: requirements R277
    lanes = HeldLanes()
    container = make_container([make_client(lambda r: claim("e"), origins=SHOP)], [make_tag(send_one)])
    answer = make_pipeline(container, None, lanes).run(origin(value))
    assert (answer.status, [name for name, _ in answer.headers if name.startswith("Access")]) == (403, [])
    assert not lanes.deliveries


def test_the_origin_null_never_gets_credentials():
    answer = make_pipeline(make_container([make_client(lambda r: claim("e"))])).run(origin("null"))
    assert answer.status == 204
    assert "Access-Control-Allow-Origin" not in dict(answer.headers)


def test_a_preflight_is_answered_for_a_path_that_a_client_owns():
    # SPEC: requirements R197
    pipeline = make_pipeline(make_container([make_client(lambda r: Declined("no"), origins=SHOP)]))
    answer = pipeline.run(origin("https://shop.example", "OPTIONS"))
    headers = dict(answer.headers)
    assert answer.status == 204
    assert headers["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"
    assert headers["Access-Control-Allow-Headers"] == "content-type, x-gtm-server-preview, x-own"
    assert headers["Access-Control-Max-Age"] == "600"
    assert headers["Cache-Control"] == "no-store", "SPEC: requirements R199, R276"
    assert pipeline.run(origin("https://x.example", "OPTIONS")).status == 403
    other = make_client(lambda r: Declined("no"), "other", origins=Origins(frozenset({"https://x.example"})))
    both = make_pipeline(make_container([make_client(lambda r: Declined("no"), origins=SHOP), other]))
    assert both.run(origin("https://x.example", "OPTIONS")).status == 204, (
        "any owner of the path may allow it"
    )
    assert pipeline.run(make_request({"target": "/other", "method": "OPTIONS"})).status == 400


async def test_the_answer_leaves_after_the_commit():
    commit = NotedCommit()
    answer = make_pipeline(make_container([make_client(lambda r: claim("e"))]), NotingOutbox(commit)).run(
        REQUEST
    )
    waiting = asyncio.ensure_future(answer)
    await asyncio.sleep(0)
    assert not waiting.done()
    commit.set_result(None)
    assert (await waiting).status == 204


@pytest.mark.parametrize("timeout_s", [30.0, 0.01])
async def test_a_commit_that_fails_or_never_ends_is_told_to_the_requester(timeout_s):
    commit = NotedCommit()
    client = make_client(lambda r: claim("e"), timeout_s=timeout_s)
    waiting = make_pipeline(make_container([client]), NotingOutbox(commit)).run(REQUEST)
    if timeout_s > 1:
        commit.set_exception(OutboxUnavailable("no"))
    assert (await waiting).status == (503 if timeout_s > 1 else 504)
    if timeout_s < 1:
        commit.set_result(None)  # too late, and nobody minds
        await asyncio.sleep(0)


async def test_a_requester_that_is_gone_when_the_commit_comes_disturbs_nobody():
    commit = NotedCommit()
    pipeline = make_pipeline(make_container([make_client(lambda r: claim("e"))]), NotingOutbox(commit))
    gone, there = pipeline.run(REQUEST), pipeline.run(REQUEST)
    gone.cancel()
    commit.set_result(None)
    assert (await there).status == 204


@pytest.mark.parametrize(
    ("outcome", "status"), [(DONE, 200), (Outcome("dead"), 502), (Outcome("refused"), 502)]
)
async def test_after_tags_the_answer_waits_for_every_vendor_and_tells_a_failure(outcome, status):
    # SPEC: design, Response policy
    said = claim("a", "b", answer=Answer(200), waits_for_tags=True, failure_answer=Answer(502))
    lanes = HeldLanes()
    pipeline = make_pipeline(make_container([make_client(lambda r: said)], [make_tag(send_one)]), None, lanes)
    waiting = asyncio.ensure_future(pipeline.run(REQUEST))
    await asyncio.sleep(0)
    lanes.deliveries[0].on_settled(DONE)
    await asyncio.sleep(0)
    assert not waiting.done()
    lanes.deliveries[1].on_settled(outcome)
    assert (await waiting).status == status


async def test_a_client_that_claims_and_never_answers_is_answered_504_by_name(caplog):
    # SPEC: requirements R264, R47
    never = make_client(lambda r: Pending(asyncio.get_running_loop().create_future()), "slow", timeout_s=0.02)
    walk = Walk()
    answer = await make_pipeline(make_container([never])).run(REQUEST, walk)
    assert answer.status == 504
    assert "'slow'" in walk.warnings[0]
    assert caplog.records[-1].client == "slow"


async def test_a_pending_claim_may_decline_and_the_next_client_is_asked():
    async def later():
        return Declined("body says no")

    clients = [make_client(lambda r: Pending(later()), "a"), make_client(lambda r: claim("e"), "b")]
    walk = Walk()
    assert (await make_pipeline(make_container(clients)).run(REQUEST, walk)).status == 204
    assert walk.declined == [("a", "body says no")]


async def test_a_pending_tag_never_delays_the_answer_and_is_owed_until_it_has_run():
    go, outbox, lanes = asyncio.Event(), NotingOutbox(), HeldLanes(DONE)

    async def later():
        await go.wait()
        return send_one(event_of[0])

    event_of = []
    tag = make_tag(lambda event: event_of.append(event) or Pending(later()))
    pipeline = make_pipeline(make_container([make_client(lambda r: claim("e"))], [tag]), outbox, lanes)
    assert pipeline.run(REQUEST).status == 204
    assert [told[0] for told in outbox.told] == ["append"]
    go.set()
    await pipeline.finish()
    assert [told[0] for told in outbox.told] == ["append", "ran"]
    assert len(lanes.deliveries) == 1


async def test_a_pending_tag_that_raises_fails_alone():
    async def later():
        raise OSError("jane@shop.example")

    walk = Walk()
    said = claim("e", waits_for_tags=True, failure_answer=Answer(502))
    tag = make_tag(lambda event: Pending(later()))
    answer = await make_pipeline(make_container([make_client(lambda r: said)], [tag])).run(REQUEST, walk)
    assert answer.status == 502
    assert walk.events[0].tags[0].reason == "raised OSError"


async def test_a_script_is_served_by_whoever_serves_scripts():
    async def serve(script, request):
        return Answer(200, (("Cache-Control", "public, max-age=900"),), script.path.encode())

    script = ServeScript("/gtm.js", "id=GTM-ABC123")
    client = make_client(lambda r: Claimed([], script))
    pipeline = Pipeline(make_container([client]), NotingOutbox(), HeldLanes(), Counters(), serve)
    answer = await pipeline.run(REQUEST)
    assert answer.body == b"/gtm.js"
    assert dict(answer.headers)["Cache-Control"] == "public, max-age=900"


def test_a_credential_of_the_request_is_not_in_the_record_but_the_verdict_is():
    outbox = NotingOutbox()
    said = claim("e", conceal=("api_secret", "authorization"), verdict="api_secret 1 of 2")
    request = make_request(
        {"target": "/c?a=1&api_secret=s3cr3t&b=2", "headers": {"Authorization": "Basic x", "A": "b"}}
    )
    make_pipeline(make_container([make_client(lambda r: said)]), outbox).run(request)
    record = outbox.told[0][1]
    assert record.request.query == b"a=1&b=2"
    assert record.request.headers == ((b"a", b"b"),)
    assert record.request.verdict == "api_secret 1 of 2"


def test_the_vendor_s_own_limit_of_age_shortens_the_expiry():
    lanes = HeldLanes()
    micros = REQUEST.received_micros
    soon = OutgoingRequest("POST", "https://v.example/", expires_micros=micros + 5)
    container = make_container(
        [make_client(lambda r: claim("e"))], [make_tag(lambda e: [soon, *send_one(e)])]
    )
    make_pipeline(container, None, lanes).run(REQUEST)
    assert [d.expires_micros - micros for d in lanes.deliveries] == [5, 7 * 86_400_000_000]
