"""What browsers tell, and what events without a browser make of it."""

import asyncio

import pytest
from cases import make_request
from context_worlds import DENIED, NOW, UNSET, Shop, visit
from doubles import eventually
from hypothesis import given
from hypothesis import strategies as st

from sgtm.consent import Consent
from sgtm.delivery.context.keys import key_of
from sgtm.delivery.context.rules import ContextRules
from sgtm.dry_run import dry_run
from sgtm.hit import Again
from sgtm.observability.explanation import explain_walk
from sgtm.observability.walk import Walk

# SPEC: requirements R308, R309.
HOUR = 3_600_000_000
LANDING = "https://shop.example/?gclid=G-1&fbclid=F%2F1&utm_source=x#top"


@pytest.fixture
async def shop():
    it = Shop()
    yield it
    await it.close()


async def test_a_webhook_gets_session_clicks_page_and_device_of_its_order_and_consent(shop):
    await shop.browser(page_location=LANDING)
    cookie = {"Cookie": "_fbp=fb.1.1700000000000.1; _gcl_aw=GCL.1700000000.OLD; _gcl_gb=2.1.kW-1$i1700000000"}
    await shop.hit("browser", visit("purchase", transaction_id="T1"), headers=cookie)
    seen = await shop.server(transaction_id="T1", value=9)
    assert seen == {
        "event_name": "purchase",
        "transaction_id": "T1",
        "value": 9,
        "consent_state": dict.fromkeys(Consent.__struct_fields__[:4], True),
        "client_id": "1.1",
        "ga_session_id": "17",
        "ga_session_number": 3,
        "page_location": "https://shop.example/thanks",
        "ip_override": "198.51.100.7",
        "user_agent": "Mozilla/5.0",
        "gclid": "OLD",  # of the latest hit that said one
        "wbraid": "W-1",
        "fbclid": "F/1",  # of the landing page
        "fbp": "fb.1.1700000000000.1",
    }
    assert shop.consents[-1].analytics_storage is True
    assert shop.counted("sgtm_context_events_total", "server/found") == 1
    assert shop.counted("sgtm_context_consent_total", "server/browser") == 1


async def test_what_an_event_has_is_never_overwritten(shop):
    await shop.browser("purchase", transaction_id="T1")
    own = {"ip_override": "203.0.113.1", "ga_session_id": "99", "consent_state": {"ad_storage": False}}
    seen = await shop.server(transaction_id="T1", **own)
    assert {key: seen[key] for key in ("ip_override", "ga_session_id")} == {
        "ip_override": "203.0.113.1",
        "ga_session_id": "99",
    }
    assert seen["consent_state"]["ad_storage"] is False
    assert shop.counted("sgtm_context_consent_total", "server/own") == 1


async def test_an_event_that_refuses_ads_inherits_no_click(shop):
    await shop.browser("purchase", transaction_id="T1", page_location=LANDING, fbp="fb.1.1.1")
    seen = await shop.server(transaction_id="T1", consent_state={"ad_storage": False})
    assert not {"gclid", "fbclid", "fbp"} & seen.keys()
    assert seen["ga_session_id"] == "17"


async def test_a_session_is_its_client_s(shop):
    await shop.browser(user_id="U1")
    seen = await shop.server(user_id="U1", client_id="2.2")
    assert "ga_session_id" not in seen
    assert seen["user_agent"] == "Mozilla/5.0"


async def test_the_first_key_that_finds_something_decides_and_client_id_is_the_last(shop):
    await shop.browser("purchase", transaction_id="T1", ga_session_id="order")
    await shop.browser(user_id="U1", ga_session_id="user")
    await shop.browser(ga_session_id="client")
    for keys, session in (
        ({"transaction_id": "T1", "user_id": "U1", "client_id": "1.1"}, "order"),
        ({"transaction_id": "T2", "user_id": "U1", "client_id": "1.1"}, "user"),
        ({"transaction_id": "T2", "user_id": "U2", "client_id": "1.1"}, "client"),
        ({"transaction_id": "T2", "user_id": "U2"}, None),
    ):
        assert (await shop.server(**keys)).get("ga_session_id") == session
    assert shop.counted("sgtm_context_events_total", "server/nothing known") == 1


async def test_a_key_may_stand_at_several_paths_and_a_number_is_the_text_that_it_looks_like():
    shop = Shop(keys={"order": ("order.id", "ecommerce.0.number")})
    await shop.browser("purchase", order={"id": 17})
    assert (await shop.server(ecommerce=[{"number": "17"}]))["client_id"] == "1.1"
    await shop.close()


# -- consent ------------------------------------------------------------------------------------


async def test_without_consent_nothing_but_the_refusal_is_kept(shop):
    await shop.browser("purchase", DENIED, transaction_id="T1", page_location=LANDING, fbp="fb.1.1.1")
    seen = await shop.server(transaction_id="T1")
    assert seen == {
        "event_name": "purchase",
        "transaction_id": "T1",
        "consent_state": dict.fromkeys(Consent.__struct_fields__[:4], False),
    }
    rows = shop.store._file.execute("SELECT content FROM kept").fetchall()
    assert len(rows) == 2
    assert not any(text in row[0] for row in rows for text in (b"shop.example", b"G-1", b"Mozilla", b"1.1"))


@pytest.mark.parametrize(("unset", "kept"), [("denied", set()), ("granted", {"gclid", "ga_session_id"})])
async def test_what_nobody_said_anything_about_is_kept_as_the_container_reads_silence(unset, kept):
    shop = Shop(unset=unset)
    await shop.browser("purchase", UNSET, transaction_id="T1", page_location=LANDING)
    seen = await shop.server(transaction_id="T1")
    assert {"gclid", "ga_session_id"} & seen.keys() == kept
    assert "consent_state" not in seen
    await shop.close()


async def test_each_group_needs_its_own_consent(shop):
    ads_denied = "13m3n3m3m5l1"  # ad_storage, analytics_storage, ad_user_data, ad_personalization
    await shop.browser("purchase", ads_denied, transaction_id="T1", page_location=LANDING, fbp="fb.1.1.1")
    seen = await shop.server(transaction_id="T1")
    assert seen["ga_session_id"] == "17"
    assert not {"gclid", "fbp"} & seen.keys()


async def test_who_withdraws_consent_is_forgotten_under_all_keys(shop):
    await shop.browser("purchase", transaction_id="T1", page_location=LANDING)
    shop.now += 1_000_000
    await shop.browser(consent=DENIED)
    seen = await shop.server(transaction_id="T1")
    assert not {"gclid", "ga_session_id", "user_agent"} & seen.keys()
    assert seen["consent_state"]["ad_storage"] is False


async def test_a_hit_that_says_nothing_of_consent_takes_back_no_refusal():
    """The refusal stands, also for orders that are first heard of in such a hit: of another tag, a pixel."""
    shop = Shop(unset="granted")
    await shop.browser(consent=DENIED)
    shop.now += 1_000_000
    await shop.browser("purchase", UNSET, transaction_id="T1", page_location=LANDING)
    for key in ({"transaction_id": "T1"}, {"client_id": "1.1"}):
        seen = await shop.server(**key)
        assert seen["consent_state"]["ad_storage"] is False
        assert not {"gclid", "ga_session_id", "user_agent"} & seen.keys()
    shop.now += 1_000_000
    await shop.browser()
    assert (await shop.server(transaction_id="T1"))["consent_state"]["ad_storage"] is False, (
        "as it was bought"
    )
    assert (await shop.server(client_id="1.1"))["consent_state"]["ad_storage"] is True
    await shop.close()


async def test_who_withdraws_consent_under_a_new_client_id_is_forgotten_under_what_is_beside_his_user_id(
    shop,
):
    """Without consent Google's tags send another client id with each page."""
    await shop.browser("purchase", transaction_id="T1", user_id="U1", page_location=LANDING)
    shop.now += 1_000_000
    await shop.browser(consent=DENIED, client_id="9.9", user_id="U1")
    for key in ({"transaction_id": "T1"}, {"user_id": "U1"}, {"client_id": "1.1"}):
        seen = await shop.server(**key)
        assert not {"gclid", "ga_session_id", "user_agent"} & seen.keys()
        assert seen["consent_state"]["ad_storage"] is False


@pytest.mark.parametrize("policy", ["granted", "denied", "unset"])
async def test_where_nothing_is_known_the_policy_decides_and_is_counted_by_source(policy):
    shop = Shop(unknown_consent="denied", unknown_consent_of={"server": policy})
    await shop.server(transaction_id="unheard of")
    said = {"granted": True, "denied": False, "unset": None}[policy]
    assert shop.consents[-1].ad_storage is said
    assert shop.counted("sgtm_context_consent_total", f"server/policy: {policy}") == 1
    await shop.close()


# -- time, size, erasure ------------------------------------------------------------------------


async def test_each_value_lives_from_when_it_was_seen_last():
    shop = Shop(ttl="2h")
    await shop.hit("browser", visit(page_location=LANDING), at=NOW - HOUR - HOUR // 2)
    await shop.hit("browser", visit("purchase", transaction_id="T1"), at=NOW)
    assert (await shop.server(transaction_id="T1"))["gclid"] == "G-1"
    shop.now += HOUR
    seen = await shop.server(transaction_id="T1")
    assert "gclid" not in seen
    assert seen["ga_session_id"] == "17"
    await shop.close()


async def test_a_hit_that_runs_late_changes_nothing_that_is_newer(shop):
    await shop.browser("purchase", transaction_id="T1", ga_session_id="new")
    await shop.hit("browser", visit("purchase", transaction_id="T1", ga_session_id="old"), at=NOW - HOUR)
    await shop.hit("browser", visit("purchase", DENIED, transaction_id="T1"), at=NOW - HOUR)
    assert (await shop.server(transaction_id="T1"))["ga_session_id"] == "new"


async def test_what_is_erased_is_gone_under_all_keys_of_that_visitor(shop):
    await shop.browser()
    await shop.browser("purchase", transaction_id="T1", user_id="U1")
    await shop.browser("purchase", transaction_id="T2", user_id="U1")
    await shop.browser(client_id="2.2", transaction_id="T9")
    erased = await shop.store.erase([key_of("order", "T1")], shop.container.context)
    assert erased.rows == 4, "the order, the client, the user and the other order"
    assert "client_id" not in await shop.server(transaction_id="T2")
    assert (await shop.server(transaction_id="T9"))["client_id"] == "2.2"
    assert (await shop.store.erase([key_of("order", "T1")], shop.container.context)).rows == 0


async def test_no_key_and_no_value_of_one_stands_in_the_file(tmp_path):
    shop = Shop(tmp_path / "context.sqlite", save=("clicks",))
    await shop.browser("purchase", transaction_id="ORDER-4711", user_id="jo@example.com")
    await shop.server(transaction_id="ORDER-4711")
    await shop.close()
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0
        content = path.read_bytes()
        assert not any(text in content for text in (b"ORDER-4711", b"jo@example.com"))


# -- what goes wrong ----------------------------------------------------------------------------


async def test_where_the_store_fails_events_go_on_with_what_they_have(tmp_path):
    (tmp_path / "file").write_text("in the way")
    shop = Shop(tmp_path / "file" / "context.sqlite")
    await shop.browser("purchase", transaction_id="T1")
    walk = Walk()
    assert await shop.server(transaction_id="T1", walk=walk) == {
        "event_name": "purchase",
        "transaction_id": "T1",
        "consent_state": dict.fromkeys(Consent.__struct_fields__[:4], False),
    }
    assert "could not be asked" in walk.events[0].note
    assert walk.events[0].inherited == {"consent_state": "nobody: what was not granted is refused"}
    assert shop.counted("sgtm_context_events_total", "server/not asked") == 1
    assert shop.counted("sgtm_context_failures_total", "failed") >= 1
    await shop.close()


@pytest.mark.parametrize("policy", ["granted", "denied", "unset"])
@pytest.mark.parametrize("unset", ["granted", "denied"])
async def test_where_nobody_can_look_nothing_is_granted(tmp_path, policy, unset):
    """A visitor who has refused goes nowhere because a disk fails."""
    (tmp_path / "file").write_text("in the way")
    shop = Shop(tmp_path / "file" / "context.sqlite", unknown_consent=policy, unset=unset)
    await shop.server(transaction_id="T1")
    assert shop.consents[-1].ad_storage is False
    await shop.server(transaction_id="T1", consent_state={"ad_storage": True})
    said = shop.consents[-1]
    assert (said.ad_storage, said.ad_user_data) == (True, False), "what the event says itself counts"
    await shop.close()


TEXTS = st.text(max_size=40)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["transaction_id", "user_id", "client_id", "page_location", "fbp", "gclid", "note"])


@given(st.dictionaries(KEYS, PLAIN), st.dictionaries(KEYS, PLAIN))
def test_no_value_of_any_kind_breaks_anything(told, asked):
    """Whatever a browser says, other visitors are kept, and events go on with what they had."""

    async def run():
        shop = Shop(also_save=("note",))
        await shop.browser(**told)
        await shop.browser(client_id="other", transaction_id="fine\ud800")
        seen = await shop.server(**asked)
        kept = {key: value for key, value in asked.items() if value not in (None, "")}
        assert {key: seen[key] for key in kept} == kept
        assert (await shop.server(transaction_id="fine\ud800"))["client_id"] == "other"
        assert not shop.counted("sgtm_context_failures_total", "failed")
        await shop.close()

    asyncio.run(run())


async def test_too_much_of_a_key_or_a_value_is_not_kept(shop):
    await shop.browser("purchase", transaction_id="T" * 600, page_location="https://x/" + "a" * 3_000)
    seen = await shop.server(transaction_id="T" * 600)
    assert "client_id" not in seen
    assert shop.counted("sgtm_context_events_total", "server/no key") == 1
    assert "page_location" not in await shop.server(client_id="1.1")


# -- the walk, replay, dry runs -----------------------------------------------------------------


async def test_everything_inherited_is_marked_and_explained(shop):
    await shop.browser("purchase", transaction_id="T1")
    shop.now += 5 * 60_000_000
    walk = Walk()
    await shop.server(transaction_id="T1", value=9, walk=walk)
    marks = walk.events[0].inherited
    assert marks["ga_session_id"] == "the browser, by order, seen 5 min before"
    assert marks["consent_state"] == "the browser, by order"
    assert not {"event_name", "transaction_id", "value"} & marks.keys()
    text = explain_walk(walk)
    assert 'ga_session_id: "17"  (inherited from the browser, by order, seen 5 min before)' in text
    assert "value: 9\n" in text


async def test_a_replay_reads_and_saves_nothing(shop):
    again = Again(7, debts=shop.outbox)
    await shop.hit("browser", visit("purchase", transaction_id="T1"), again=again)
    assert "client_id" not in await shop.server(transaction_id="T1")
    await shop.browser("purchase", transaction_id="T1")
    await shop.hit("server", {"event_name": "purchase", "transaction_id": "T1"}, again=again)
    assert shop.sent[-1]["client_id"] == "1.1"


def test_a_dry_run_says_that_nothing_was_looked_up():
    shop = Shop()
    container = shop.pipeline("server", [{"event_name": "purchase", "transaction_id": "T1"}]).container
    walk = dry_run(container, make_request({"target": "/c"}))
    assert walk.events[0].note == "what browsers told is not looked up here: the event has what it came with"


async def test_other_clients_neither_tell_nor_inherit(shop):
    await shop.hit("third", visit("purchase", transaction_id="T1"))
    await shop.hit("third", {"event_name": "purchase", "transaction_id": "T1"})
    assert shop.sent[-1] == {"event_name": "purchase", "transaction_id": "T1"}
    await eventually(lambda: shop.counted("sgtm_context_saved_total") == 0)


def test_rules_have_sound_defaults():
    made = ContextRules(browser_clients=("a",), server_clients=("b",))
    assert made.ttl_micros == 7 * 24 * HOUR
    assert made.unknown_consent == "unset", "silence is never turned into consent"
