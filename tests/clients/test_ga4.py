"""The GA4 client: claims, visitors, cookies, answers. Whole hits stand in the goldens."""

import msgspec
import pytest
from cases import make_request
from hypothesis import given
from hypothesis import strategies as st

from sgtm.clients._linker import seal, unseal
from sgtm.clients.ga4 import Parameters, check, claim
from sgtm.component import find
from sgtm.cookies import set_cookie_header
from sgtm.messages import Claimed, Declined

HIT = "/g/collect?v=2&tid=G-ABC123&cid=584335997.1746564151&en=page_view"
FPID = "FPID2.2.AUJctU7H7hBB%2FaMuhE4pKwGu5DWDdklg5abyyyn8i%2FI%3D.1747154479"
SERVER_ID = "AUJctU7H7hBB/aMuhE4pKwGu5DWDdklg5abyyyn8i/I=.1747154479"
KEY = "a key of at least sixteen"
NOW = 1_764_000_000


def hit(target=HIT, cookies="", method="GET", body="", host="sst.shop.example", **parameters):
    headers = {"Cookie": cookies} if cookies else {}
    request = make_request(
        {"method": method, "target": target, "headers": headers, "body": body, "host": host}
    )
    said = claim(request, Parameters(**parameters))
    assert isinstance(said, Claimed)
    return said


def cookies_of(said):
    return {cookie.name: cookie for cookie in said.answer.cookies}


def server(target=HIT, cookies="", **parameters):
    return hit(target, cookies, cookie_management="server", **parameters)


# -- claiming


@pytest.mark.parametrize("target", ["/g/collect/", "/mp/collect", "/", "/G/collect"])
def test_a_hit_on_another_path_is_declined(target):
    said = claim(make_request({"target": f"{target}?v=2&tid=G-1&en=a"}), Parameters())
    assert isinstance(said, Declined)
    assert "path" in said.reason


@pytest.mark.parametrize("query", ["tid=G-1&cid=1.2&en=a", "v=1&tid=G-1&cid=1.2&en=a", "v=2&cid=1.2&en=a"])
def test_a_hit_without_version_or_id_is_declined_with_a_reason(query):
    # R262
    said = claim(make_request({"target": f"/g/collect?{query}"}), Parameters())
    assert isinstance(said, Declined)
    assert said.reason


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS"])
def test_only_get_and_post_are_hits(method):
    # R53
    assert isinstance(claim(make_request({"method": method, "target": HIT}), Parameters()), Declined)


def test_a_prefix_is_one_more_path():
    # ga4-protocol 1.1: sGTM may live below a prefix
    assert hit(HIT.replace("/g/", "/sgtm/g/"), paths=("/sgtm/g/collect",)).events
    component = find("client", "gaaw_client")
    assert component.type == "ga4"
    assert component.paths(Parameters()) == ("/g/collect",)


# -- who it is


def test_the_script_s_id_stays_where_the_script_manages_it():
    said = hit(cookies=f"FPID={FPID}; _ga=GA1.1.1.2")
    assert said.events[0]["client_id"] == "584335997.1746564151"
    assert "x-ga-js_client_id" not in said.events[0]
    assert said.answer.cookies == ()


def test_a_hit_without_id_gets_that_of_the_script_s_cookie_else_a_new_one():
    # R57: FPID, _ga, cid, new
    target = HIT.replace("&cid=584335997.1746564151", "")
    assert hit(target, "_ga=GA1.1.1.2").events[0]["client_id"] == "1.2"
    made = hit(target).events[0]["client_id"]
    assert made.endswith(f".{NOW}")
    denied = hit(f"{target}&gcs=G100", "_ga=GA1.1.1.2").events[0]["client_id"]
    assert denied == made  # R62: without consent the cookie is not read


def test_the_server_s_cookie_wins_over_a_new_script_cookie():
    # R299: FPID present, _ga new: the old id wins
    said = server(cookies=f"FPID={FPID}; _ga=GA1.1.584335997.1746564151", migrate_from_js_client_id=True)
    assert said.events[0]["client_id"] == SERVER_ID
    assert list(said.events[0])[-1] == "x-ga-js_client_id"  # ga4-protocol 2.2: appended last
    assert said.events[0]["x-ga-js_client_id"] == "584335997.1746564151"
    assert cookies_of(said)["FPID"].value == FPID  # set again: its life moves with each hit


def test_a_visitor_with_only_the_script_s_cookie_keeps_the_id_when_migrating():
    # R298
    said = server(cookies="_ga=GA1.1.584335997.1746564151", migrate_from_js_client_id=True)
    assert said.events[0]["client_id"] == "584335997.1746564151"
    assert cookies_of(said)["FPID"].value == "FPID2.2.584335997.1746564151"


def test_without_migration_a_new_visitor_gets_an_id_of_the_server():
    said = server()
    client_id = said.events[0]["client_id"]
    assert client_id.endswith("=.1746564151")  # ga4-protocol 2.4: the second half of the script's id
    assert said.events[0]["x-ga-js_client_id"] == "584335997.1746564151"


def test_the_server_s_cookie_has_the_attributes_of_its_kind():
    # R59, R251
    header = set_cookie_header(cookies_of(server(cookies=f"FPID={FPID}"))["FPID"], "sst.shop.example")
    assert header == (
        f"FPID={FPID}; Max-Age=34560000; Domain=shop.example; Path=/; Secure; HttpOnly; SameSite=Lax"
    )


def test_every_attribute_of_the_cookie_is_yours():
    said = server(
        cookie_name="_id",
        cookie_domain="",
        cookie_path="/x",
        cookie_max_age_s=60,
        cookie_same_site="",
        cookie_secure=False,
        cookie_http_only=False,
    )
    header = set_cookie_header(said.answer.cookies[0], "sst.shop.example")
    assert header.startswith("_id=FPID2.3.")
    assert header.endswith("; Max-Age=60; Path=/x")


def test_an_empty_cookie_name_switches_the_cookie_off():
    # ga4-protocol 5.4: neither read nor written
    said = server(cookies=f"FPID={FPID}", cookie_name="")
    assert said.events[0]["client_id"] == "584335997.1746564151"
    assert said.answer.cookies == ()


def test_all_events_of_a_batch_are_of_one_visitor():
    body = "en=scroll&_et=1\r\nen=user_engagement&cid=other.5"
    said = server(HIT.replace("&en=page_view", ""), cookies=f"FPID={FPID}", method="POST", body=body)
    assert [data["client_id"] for data in said.events] == [SERVER_ID, SERVER_ID]
    assert [data["x-ga-js_client_id"] for data in said.events] == ["584335997.1746564151", "other.5"]


def test_the_cookie_s_value_stays_out_of_the_event():
    assert "FPID2" not in msgspec.json.encode(server(cookies=f"FPID={FPID}").events).decode()


@pytest.mark.parametrize("parameter", ["ep.client_id=a", "epn.client_id=5", "ep.client_id="])
def test_an_event_parameter_of_that_name_does_no_harm(parameter):
    for query in (f"{HIT}&{parameter}", f"/g/collect?v=2&tid=G-ABC123&en=a&{parameter}"):
        assert server(query, migrate_from_js_client_id=True).events[0]["client_id"]
        assert hit(query).events[0]["client_id"]


# -- consent: R62, R281; gcs G1 ad analytics; gcd pairs (ga4-protocol 7)


@pytest.mark.parametrize("consent", ["gcs=G100", "gcs=G110", "gcd=13p3p3p2p5l1"])
def test_denied_analytics_storage_reads_and_writes_no_cookie_and_keeps_the_event(consent):
    said = server(f"{HIT}&{consent}", f"FPID={FPID}", linker_key=KEY, refresh_cookies=("_ga",))
    assert said.events[0]["client_id"] == "584335997.1746564151"
    assert said.answer.cookies == ()
    assert said.answer.status == 204


@pytest.mark.parametrize(
    "consent", ["gcs=G111", "gcs=G101", "gcd=13r3r3r2r5l1", "gcd=13l3l3l3l1l1", "gcs=G1--", ""]
)
def test_granted_or_unset_analytics_storage_keeps_the_visitor(consent):
    assert server(f"{HIT}&{consent}", f"FPID={FPID}").events[0]["client_id"] == SERVER_ID


def test_a_container_may_read_silence_as_no():
    assert server(unset_consent="denied").answer.cookies == ()
    assert server(f"{HIT}&gcs=G111", unset_consent="denied").answer.cookies


def test_one_denied_event_of_a_batch_keeps_the_cookie_away():
    body = "en=a&gcs=G111\nen=b&gcs=G100"
    assert server(HIT.replace("&en=page_view", ""), method="POST", body=body).answer.cookies == ()


# -- FPLC: R60, ga4-protocol 5.4, 10


def test_a_new_visitor_gets_a_linker_value_that_says_who_it_is():
    said = server(linker_key=KEY)
    cookie = cookies_of(said)["FPLC"]
    assert unseal(cookie.value, NOW, KEY, 0) == said.events[0]["client_id"]
    assert (cookie.max_age_s, cookie.is_secure, cookie.is_http_only) == (72_000, True, False)


def test_the_linker_value_is_not_made_again_while_the_browser_has_one():
    assert set(cookies_of(server(cookies=f"FPID={FPID}; FPLC=x", linker_key=KEY))) == {"FPID"}
    assert set(cookies_of(server(cookies=f"FPID={FPID}", linker_key=KEY))) == {"FPID", "FPLC"}
    assert set(cookies_of(server(cookies="FPLC=of another visitor", linker_key=KEY))) == {"FPID", "FPLC"}


@pytest.mark.parametrize("parameters", [{"linker_key": KEY, "fplc": False}, {}])
def test_no_linker_value_without_key_or_wish(parameters):
    assert set(cookies_of(server(**parameters))) == {"FPID"}


def linked(seconds, key=KEY, **parameters):
    said = server(f"{HIT}&_fplc={seal(SERVER_ID, seconds, key)}", linker_key=KEY, **parameters)
    return said.events[0]["client_id"]


def test_a_visitor_who_comes_by_link_keeps_the_id_of_the_other_domain():
    assert linked(NOW - 3600) == SERVER_ID
    assert linked(NOW - 3600, migrate_from_js_client_id=True) == SERVER_ID


def test_a_visitor_who_is_known_here_is_not_taken_over_by_a_link():
    assert linked(NOW, cookies="FPID=FPID2.2.known.1") == "known.1"


def test_an_old_or_foreign_link_is_nobody():
    assert linked(NOW - 72_001) != SERVER_ID
    assert linked(NOW, key="another key of sixteen") != SERVER_ID
    assert linked(NOW, fplc=False) != SERVER_ID
    assert server(f"{HIT}&_fplc=0", linker_key=KEY).events[0]["client_id"].endswith(".1746564151")


# -- cookies of scripts: R61


def test_named_cookies_of_scripts_get_a_new_life():
    said = hit(
        cookies="_ga=GA1.1.1.2; _ga_ABC=GS2.1.s1; _fbp=fb.1.2.3; other=1; _gafoo=2",
        refresh_cookies=("_ga", "_ga_*", "_fbp", "_missing"),
    )
    cookies = cookies_of(said)
    assert list(cookies) == ["_ga", "_ga_ABC", "_fbp"]
    assert cookies["_fbp"].value == "fb.1.2.3"
    assert (cookies["_ga"].max_age_s, cookies["_ga"].is_http_only) == (34_560_000, False)


def test_each_kind_of_cookie_follows_its_own_consent():
    names = {"refresh_cookies": ("_ga", "_fbp")}
    assert list(cookies_of(hit(f"{HIT}&gcs=G101", "_ga=1; _fbp=2", **names))) == ["_ga"]
    assert list(cookies_of(hit(f"{HIT}&gcs=G110", "_ga=1; _fbp=2", **names))) == ["_fbp"]


def test_a_wide_pattern_touches_neither_the_server_s_own_cookies_nor_more_than_it_may():
    many = "; ".join(f"c{number}=1" for number in range(40))
    said = server(cookies=f"FPID={FPID}; FPLC=x; {many}", linker_key=KEY, refresh_cookies=("*",))
    names = [cookie.name for cookie in said.answer.cookies]
    assert names.count("FPID") == 1
    assert "FPLC" not in names
    assert len(names) == 21


# -- the answer


def test_a_hit_that_can_read_a_stream_is_answered_by_one_when_a_tag_wants_a_pixel():
    # ga4-protocol 5.6, 11.1.9: status 200; the cookies of the answer stay
    said = server(f"{HIT}&richsstsse")
    assert said.answer.status == 204
    answer = said.answer_with_pixels(("https://ads.example/p?a=1",))
    assert answer.status == 200
    assert dict(answer.headers)["Content-Type"].startswith("text/plain")
    assert answer.cookies == said.answer.cookies != ()
    assert answer.body.startswith(b"event: message\ndata: ")
    assert b"https://ads.example/p?a=1" in answer.body


def test_any_other_hit_cannot_be_asked_for_pixels():
    assert hit().answer_with_pixels is None


def test_a_sender_that_waits_for_the_tags_sees_a_failure_and_keeps_the_visitor():
    said = server(waits_for_tags=True)
    assert said.waits_for_tags
    assert said.failure_answer.status == 502
    assert said.failure_answer.cookies == said.answer.cookies != ()


@pytest.mark.parametrize(
    "address",
    [
        "https://shop.example/thanks?a=1#b",
        "http://shop.example",
        "HTTPS://SHOP.EXAMPLE:8443/",
        "https://a.b.shop.test/",
    ],
)
def test_a_redirect_goes_to_a_listed_host(address):
    # R66
    target = f"{HIT}&to={address.replace('#', '%23').replace('&', '%26')}"
    hosts = ("shop.example", "*.shop.test")
    said = server(f"{target}&richsstsse", redirect_parameter="to", redirect_hosts=hosts)
    assert (said.answer.status, dict(said.answer.headers)["Location"]) == (302, address)
    assert said.answer.cookies
    assert said.answer_with_pixels is None
    assert said.warnings == ()


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//shop.example/",
        "/thanks",
        "https://shop.example@evil.example/",
        "https:/shop.example/",
    ]
    + [
        "https://shop.example%5C@evil.example/",
        "https://shop.example%0D%0AX:%20y/",
        "javascript:alert(1)",
        "",
    ]
    + [
        "https://shop.test/",
        "https://evilshop.test/",
        "https://shop.example.evil.example/",
        "https://shop.example%00/",
    ]
    + ["https://shop.example/%C3%A9", "https://%E2%93%A2hop.example/"],
)
def test_no_redirect_goes_anywhere_else(address):
    # R66: no open redirect
    hosts = ("shop.example", "*.shop.test")
    said = hit(f"{HIT}&to={address}", redirect_parameter="to", redirect_hosts=hosts)
    assert said.answer.status == 204
    assert said.answer.headers == ()
    assert len(said.warnings) == 1
    assert said.events


def test_a_hit_without_the_parameter_is_answered_as_usual():
    said = hit(redirect_parameter="to", redirect_hosts=("shop.example",))
    assert (said.answer.status, said.warnings) == (204, ())


# -- check


def problems(**parameters):
    return [(one.severity, one.where) for one in check(parameters, "client")]


def test_parameters_that_cannot_mean_what_they_say_are_found():
    assert problems() == []
    assert problems(cookie_management="server") == []
    assert problems(cookie_management="server", fplc=True) == [("warning", "client")]
    assert problems(cookie_management="server", fplc=True, linker_key=KEY) == []
    assert problems(paths=[]) == [("error", "client.paths")]
    assert problems(paths=[], gtag_ids=["G-1"]) == []
    assert problems(redirect_parameter="to") == [("error", "client.redirect_parameter")]
    assert problems(cookie_max_age_s=63_072_000) == [("warning", "client.cookie_max_age_s")]


@given(st.dictionaries(st.sampled_from(Parameters.__struct_fields__), st.none() | st.integers() | st.text()))
def test_parameters_of_any_kind_never_make_check_raise(parameters):
    assert isinstance(check(parameters, "client"), list)


@pytest.mark.parametrize(
    "wrong",
    [
        {"linker_key": "short"},
        {"cookie_name": "a b"},
        {"cookie_path": "x"},
        {"cookie_path": "/;"},
    ]
    + [{"cookie_max_age_s": 0}, {"answer": 500}, {"cookie_same_site": "lax\r\n"}],
)
def test_parameters_that_no_cookie_or_answer_can_carry_are_refused(wrong):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Parameters)


# -- any hit


@given(query=st.binary(max_size=60), cookie=st.binary(max_size=60), body=st.binary(max_size=60))
def test_no_hit_makes_the_client_raise_and_every_cookie_can_be_sent(query, cookie, body):
    request = msgspec.structs.replace(
        make_request({"method": "POST", "target": "/g/collect", "host": "sst.shop.example"}),
        query=b"v=2&tid=G-1&en=a&cid=" + query,
        headers=((b"cookie", b"_ga=GA1.1." + cookie), (b"cookie", cookie)),
        body=body,
    )
    parameters = Parameters(cookie_management="server", migrate_from_js_client_id=True, linker_key=KEY)
    said = claim(request, parameters)
    assert isinstance(said, Claimed)
    for sent in said.answer.cookies:
        assert set_cookie_header(sent, request.host)


# -- hits that come twice ----------------------------------------------------------------------------


def test_copies_of_a_hit_have_one_key_and_no_two_hits_do():
    # SPEC: requirements R115; ga4-protocol 11.1.3 (one `_s` for all events of a batch)
    hit = "/g/collect?v=2&tid=G-A1&cid=1.2&sid=9&_p=77&_s=3"
    parameters = Parameters(drop_repeated_hits=True)

    def keys(target, body="", seed=1):
        request = make_request({"method": "POST", "target": target, "body": body, "seed": seed})
        return claim(request, parameters).repeat_keys

    assert keys(f"{hit}&en=a") == keys(f"{hit}&en=a&tfd=99", seed=2)
    assert len(set(keys(hit, "en=a\r\nen=a"))) == 2
    others = [f"{hit}&en=b", f"{hit[:-1]}4&en=a", hit.replace("_p=77", "_p=78") + "&en=a"]
    assert not set(keys(f"{hit}&en=a")) & {key for other in others for key in keys(other)}
    without = "/g/collect?v=2&tid=G-A1&cid=1.2&en=a"
    assert keys(without) != keys(without, seed=2), "without hit number nobody can tell"
    assert claim(make_request({"target": f"{hit}&en=a"}), Parameters()).repeat_keys == ()
