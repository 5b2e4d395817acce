"""A walk becomes a view that a page can show (SPEC: requirements R106, R160, R164, R221, R242)."""

import math
from pathlib import Path

import msgspec
import pytest
from corridor import REQUEST, claim, make_client, make_container, make_tag, send_one
from hypothesis import given, settings
from hypothesis import strategies as st
from walks import HITS, shop_container, shop_view

from sgtm.container.compile import load_container
from sgtm.dry_run import dry_run, dry_run_event
from sgtm.event import undefined
from sgtm.messages import Outcome, OutgoingRequest, VendorAnswer
from sgtm.observability.walk import TimedWalk, Walk, WalkedDelivery, WalkedEvent, WalkedTag, WalkedVariable
from sgtm.preview.encoding import MOST_BODY, Seen, summary_of, view_of
from sgtm.preview.view import decode_view, encode

RULES = Path(__file__).parents[2] / "examples/rules/container.yaml"
SEEN = Seen(id="1", source="session", took_micros=300)


@pytest.fixture(scope="module")
def shop():
    return shop_container()


@pytest.mark.parametrize("hit", HITS)
def test_a_view_comes_back_from_its_json_as_it_was(shop, hit):
    shown = shop_view(shop, hit)
    assert decode_view(encode(shown)) == shown


def test_a_purchase_is_told_from_claim_to_cookie(shop):
    shown = shop_view(shop, "3-purchase")
    (event,) = shown.events
    assert (shown.claimed_by, event.name, event.data["value"]) == ("GA4", "purchase", 72.05)
    assert [(tag.name, tag.type, tag.group) for tag in event.tags] == [
        ("GA4", "ga4", "fired"),
        ("Meta", "meta_conversions", "fired"),
        ("Warehouse", "http_request", "fired"),
    ]
    meta = event.tags[1].deliveries[0]
    assert (meta.credential, meta.credential_place) == ("META_ACCESS_TOKEN", "header Authorization")
    assert msgspec.json.decode(meta.body)["data"][0]["custom_data"]["order_id"] == "T_12345"
    number = event.tags[2].variables[0]
    assert (number.name, number.type, number.value, number.value_type) == (
        "Order number",
        "event_data",
        "T_12345",
        "string",
    )
    assert shown.answer is not None
    assert "FPID" in [cookie.name for cookie in shown.answer.cookies]
    assert all(name.lower() != "set-cookie" for name, _ in shown.answer.headers)


def test_a_summary_counts_tags_and_deliveries(shop):
    summary = shop_view(shop, "4-batch").summary
    assert summary.events == ["page_view", "scroll"]
    assert (summary.tags.fired, summary.tags.not_fired, summary.deliveries.waiting) == (3, 3, 3)
    assert "graph.facebook.com" in summary.search
    assert b'"not":3' in encode(summary)


@pytest.mark.parametrize(
    ("outcome", "group"),
    [
        ("fired", "fired"),
        ("failed", "failed"),
        ("sent nothing", "held"),
        ("blocked by consent", "held"),
        ("held back", "held"),
        ("not triggered", "not"),
        ("blocked by trigger", "not"),
    ],
)
def test_each_outcome_of_a_tag_counts_in_one_group(outcome, group):
    walk = Walk(events=[WalkedEvent("e", {}, tags=[WalkedTag("T", outcome)])])
    counts = msgspec.to_builtins(summary_of(walk, REQUEST, SEEN).tags)
    assert counts == {"fired": 0, "failed": 0, "held": 0, "not": 0} | {group: 1}
    assert view_of(walk, REQUEST, SEEN, make_container([])).events[0].tags[0].group == group


def test_a_request_that_travels_in_batches_is_shown_as_it_would_go_alone():
    tag = make_tag(
        send_one, envelope=lambda items: OutgoingRequest("POST", items[0].url, body=b"[%s]" % items[0].item)
    )
    item = OutgoingRequest("POST", "https://vendor.example/batch", item=b"1")
    walk = Walk(
        events=[WalkedEvent("e", {}, tags=[WalkedTag("tag", "fired", deliveries=[WalkedDelivery(item)])])]
    )
    container = make_container([], [tag], tags_by_name={"tag": tag})
    assert view_of(walk, REQUEST, SEEN, container).events[0].tags[0].deliveries[0].body == "[1]"


def rules_view(data):
    container = load_container(RULES)
    walk = dry_run_event(container, data, "Orders")
    return view_of(walk, REQUEST, SEEN, container)


def test_a_trigger_that_did_not_match_says_which_condition_and_both_values():
    shown = rules_view({"event_name": "purchase", "value": 9, "country": "de"})
    ticket = next(tag for tag in shown.events[0].tags if tag.name == "Ticket")
    (trigger,) = ticket.triggers
    assert (ticket.outcome, ticket.group, trigger.matched) == ("not triggered", "not", False)
    assert trigger.failed is not None
    assert (trigger.failed.value, trigger.failed.compared_with) == ("9", "100")


def test_each_step_is_shown_as_what_it_changed():
    shown = rules_view(
        {"event_name": "purchase", "value": "9", "country": "DE", "user_data": {"address": "x"}}
    )
    (event,) = shown.events
    spelling = event.preparations[1]
    (change,) = spelling.changes
    assert (change.kind, change.path, change.before, change.after) == ("changed", "country", "DE", "de")
    bots = event.preparations[0]
    assert not bots.applied
    assert bots.failed is not None
    steps = {step.name: step for step in event.tags[0].transformations}
    assert [(one.kind, one.path) for one in steps["No personal data for the warehouse"].changes] == [
        ("removed", "user_data.address")
    ]
    added = steps["Euros, unless said otherwise"].changes[0]
    assert (added.kind, added.before, added.after) == ("added", {"$undefined": True}, "EUR")


def test_what_json_cannot_say_is_said():
    values = [undefined, None, math.nan, 2**60, b"x", True, 1.5, [1], {"a": undefined}, object()]
    tag = WalkedTag("T", "fired", variables=[WalkedVariable(str(i), v) for i, v in enumerate(values)])
    walk = Walk(events=[WalkedEvent("e", {}, tags=[tag])])
    shown = view_of(walk, REQUEST, SEEN, make_container([])).events[0].tags[0].variables
    assert [(one.value_type, one.value) for one in shown] == [
        ("undefined", {"$undefined": True}),
        ("null", None),
        ("number", {"$number": "NaN"}),
        ("number", {"$number": str(2**60)}),
        ("string", {"$bytes": "x"}),
        ("boolean", True),
        ("number", 1.5),
        ("array", [1]),
        ("object", {"a": {"$undefined": True}}),
        ("object", "<object>"),
    ]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(undefined),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=100, deadline=None)
@given(data=st.dictionaries(st.text(), ANYTHING, max_size=5), source=st.sampled_from(["session", "lookback"]))
def test_any_event_data_can_be_shown(data, source):
    walk = Walk(events=[WalkedEvent("e", data, tags=[WalkedTag("T", "fired", console=["\ud800", "x"])])])
    shown = view_of(walk, REQUEST, Seen(id="1", source=source), make_container([]))
    assert msgspec.json.decode(encode(shown))["events"][0]["name"] == "e"


def test_what_a_client_writes_is_no_warning():
    shown = view_of(Walk(warnings=["careful", "console: hello"]), REQUEST, SEEN, make_container([]))
    assert (shown.warnings, shown.console) == (["careful"], ["hello"])


def test_what_is_too_large_is_cut_and_says_so():
    deep: dict = {}
    for _ in range(100):
        deep = {"a": deep}
    data = {"text": "x" * 100_000, "list": list(range(5_000)), "deep": deep}
    request = msgspec.structs.replace(REQUEST, body=b"y" * 200_000)
    shown = view_of(Walk(events=[WalkedEvent("e", data)]), request, SEEN, make_container([]))
    assert "more characters" in shown.events[0].data["text"]
    assert shown.events[0].data["list"][-1] == {"$cut": 4_000}
    assert len(shown.request.body) < MOST_BODY + 100
    assert shown.request.body_bytes == 200_000
    assert len(encode(shown)) < 250_000


def test_deliveries_tell_each_attempt_and_the_waterfall_has_it():
    container = make_container([make_client(lambda request: claim("e"))], [make_tag(send_one)])
    walk = dry_run(container, REQUEST)
    delivery, at = walk.events[0].tags[0].deliveries[0], REQUEST.received_micros
    delivery.begins(at + 1_000)
    delivery.ended(at + 4_000, Outcome("retry", "busy"), VendorAnswer(503, (), b"later"), "", 1)
    delivery.begins(at + 9_000)
    delivery.ended(at + 12_000, Outcome("done"), VendorAnswer(200, (("x", "y"),), b"{}"), "", 2)
    shown = view_of(walk, REQUEST, SEEN, container)
    sent = shown.events[0].tags[0].deliveries[0]
    assert (sent.status, sent.attempts, sent.begun_micros, sent.took_micros) == (200, 2, 9_000, 3_000)
    assert [(one.status, one.outcome, one.reason) for one in sent.tries] == [
        (503, "retry", "busy"),
        (200, "done", ""),
    ]
    spans = [
        (span.what, span.begin_micros, span.end_micros) for span in shown.timing if span.kind == "delivery"
    ]
    assert spans == [
        ("tag 1/2 → vendor.example", 1_000, 4_000),
        ("tag 2/2 → vendor.example", 9_000, 12_000),
    ]
    assert summary_of(walk, REQUEST, SEEN).deliveries.done == 1


def test_a_timed_walk_tells_when_each_hop_was_reached():
    container = make_container([make_client(lambda request: claim("e"))], [make_tag(send_one)])
    at = REQUEST.received_micros
    ticks = iter(range(at + 10, at + 1_000, 10))
    walk = dry_run(container, REQUEST, walk=TimedWalk(begun_micros=at, now_micros=lambda: next(ticks)))
    shown = view_of(walk, REQUEST, SEEN, container)
    assert [(span.what, span.begin_micros, span.end_micros) for span in shown.timing] == [
        ("request", 0, 300),
        ("clients", 0, 10),
        ("tag tag", 10, 20),
        ("answer", 20, 30),
    ]
