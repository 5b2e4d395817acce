"""Requests as gtag.js and other senders make them -> event data; what the browser gets back.

SPEC: ga4-protocol 1, 2, 5.6, 11 and appendix A; google-runtime 6 and 7.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cases import make_request
from fast.strategies import bodies, queries
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sgtm.protocols import gtag

TESTS = Path(__file__).parents[1]
HITS = [json.loads(line) for line in (TESTS / "vectors/ga4-hits.jsonl").read_text().splitlines()]
GOLDEN = sorted((TESTS / "golden/vectors").glob("*.yaml"))
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) Golden/1.0"


def parse(query: str, body: str = "", **said: Any) -> list[dict[str, Any]]:
    return gtag.parse_events(make_request({"target": f"/g/collect?{query}", "body": body, **said}))


def in_order(value: Any) -> str:
    """Text in which the order of keys and the types of values are seen."""
    return json.dumps(value, indent=1, ensure_ascii=False)


# -- recorded hits ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_recorded_hit_gives_exactly_its_event_data(path: Path) -> None:
    hit = HITS[int(path.stem[:2])]
    request = make_request(
        {
            "method": hit["method"],
            "target": hit["target"],
            "body": hit["body"],
            "headers": {"User-Agent": USER_AGENT},
        }
    )
    expected = yaml.safe_load(path.read_text())
    assert gtag.why_not_a_hit(request) == expected.get("declines")
    if "events" in expected:
        assert in_order(gtag.parse_events(request)) == in_order(expected["events"])


def test_every_recorded_hit_has_a_golden() -> None:
    assert [int(path.stem[:2]) for path in GOLDEN] == list(range(len(HITS)))


# -- dumps of Google's own server (appendix A) ------------------------------------------------------


DUMPS: dict[str, Any] = json.loads((TESTS / "vectors/ga4-dumps.json").read_text())


@pytest.mark.parametrize("name", DUMPS)
def test_a_reconstructed_hit_gives_the_dump_of_the_real_server(name: str) -> None:
    """Same keys in the same order, same values. The file holds the hit that must have caused the dump and
    names what differs: `not_ours` (cookies, site code), `only_ours`, `renamed` since then (2.2)."""
    case = DUMPS[name]
    (seen,) = gtag.parse_events(make_request(case["request"]))
    theirs = {
        case["renamed"].get(key, [key])[0]: case["renamed"].get(key, [key, value])[1]
        for key, value in case["data"].items()
        if key not in case["not_ours"]
    }
    sst = seen["x-sst-system_properties"]
    assert list(sst)[-2:] == ["consent", "request_start_time_ms"]  # 2.3
    if "x-sst-system_properties" not in theirs:  # 2021: not there yet; always ours (11.3)
        del seen["x-sst-system_properties"]
    elif "consent" not in theirs["x-sst-system_properties"]:  # not yet; always ours (11.3)
        del sst["consent"]
    for key in case["only_ours"]:
        del seen[key]
    assert in_order(seen) == in_order(theirs)


# -- which requests are hits --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "body", "reason"),
    [
        ("v=2&tid=G-ABC123", "", None),
        ("v=2&tid=GT-ABC123&en=a", "", None),
        ("", "v=2&tid=G-ABC123&en=a", None),  # 11.2: legacy libraries put all in the body
        ("v=2", "en=a&tid=G-ABC123", None),
        ("", "\r\n\r\nv=2&en=a\r\ntid=G-1&en=b", None),
        ("", "", "the parameter v is missing"),
        ("tid=G-ABC123", "", "the parameter v is missing"),
        ("v=2", "", "the parameter tid is missing"),
        ("v=2&tid=", "", "the parameter tid is missing"),
        ("v=1&tid=UA-1-1", "", "v is 1, not 2: a Universal Analytics hit"),
        ("v=3&tid=G-ABC123", "", "v is not 2"),
        ("v=2&tid=UA-1-1", "", "tid is not a measurement id like G-ABC123"),
        ("v=2&tid=%00", "", "tid is not a measurement id like G-ABC123"),
        ("xv=2&vv=2&tid=G-1", "", "the parameter v is missing"),
    ],
)
def test_a_request_that_is_no_hit_says_what_is_missing(query: str, body: str, reason: str | None) -> None:
    request = make_request({"target": f"/g/collect?{query}", "body": body})
    assert gtag.why_not_a_hit(request) == reason


@pytest.mark.parametrize("body", ["", "\n", "ep.x=1", "{}", "en=\nen="])
def test_a_hit_without_an_event_name_has_no_events(body: str) -> None:
    """8.4: no usable payload, which the client answers with 400."""
    assert parse("v=2&tid=G-1&cid=1.2", body) == []


# -- what the server adds ---------------------------------------------------------------------------


def test_address_and_user_agent_come_last_in_this_order() -> None:
    """2.3: wire order, then ip_override, user_agent, then header-only client_hints; platform keeps its
    quotes (2.5, dump A2)."""
    headers = {
        "Sec-CH-UA": '"Chromium";v="116", "Not)A;Brand";v="24"',
        "Sec-CH-UA-Mobile": "?0",
        "Sec-CH-UA-Platform": '"macOS"',
        "User-Agent": "Mozilla/5.0",
    }
    (data,) = parse("v=2&tid=G-1&en=a", headers=headers)
    assert list(data)[-4:] == ["x-sst-system_properties", "ip_override", "user_agent", "client_hints"]
    assert in_order(data["client_hints"]) == in_order(
        {
            "brands": [{"brand": "Chromium", "version": "116"}, {"brand": "Not)A;Brand", "version": "24"}],
            "mobile": False,
            "platform": '"macOS"',
        }
    )


def test_an_address_in_the_hit_counts_only_from_a_trusted_peer() -> None:
    """11.3"""
    query = "v=2&tid=G-1&en=a&_uip=198.51.100.7"
    assert parse(query)[0]["ip_override"] == "203.0.113.9"
    assert parse(query, is_peer_trusted=True)[0]["ip_override"] == "198.51.100.7"
    assert parse(query)[0]["x-ga-system_properties"] == {"uip": "198.51.100.7"}
    for nonsense in ("", "x", "1.2.3", "999.1.1.1", "%ff"):
        (data,) = parse(f"v=2&tid=G-1&en=a&_uip={nonsense}", is_peer_trusted=True)
        assert data["ip_override"] == "203.0.113.9"


@pytest.mark.parametrize("is_peer_trusted", [True, False])
def test_a_redacted_address_is_not_put_back(is_peer_trusted: bool) -> None:
    """11.3: `::` means redacted"""
    (data,) = parse("v=2&tid=G-1&en=a&_uip=%3A%3A", is_peer_trusted=is_peer_trusted)
    assert "ip_override" not in data
    assert data["x-ga-system_properties"] == {"uip": "::"}


@pytest.mark.parametrize("name", ["x-ga-system_properties", "x-sst-system_properties", "client_hints"])
def test_a_parameter_with_the_name_of_an_object_never_raises(name: str) -> None:
    """11.3: none of this may raise; 2.6: a site's parameter may have the name of a built-in key"""
    assert len(parse(f"v=2&tid=G-1&en=a&ep.{name}=uip", is_peer_trusted=True)) == 1


@given(queries, bodies, st.booleans())
def test_no_hit_makes_reading_it_raise(query: bytes, body: bytes, is_peer_trusted: bool) -> None:
    request = make_request({"target": "/g/collect", "is_peer_trusted": is_peer_trusted})
    gtag.why_not_a_hit(replace(request, query=query, body=body))
    gtag.parse_events(replace(request, query=query, body=body))


def test_a_site_cannot_say_another_address_but_another_user_agent() -> None:
    """2.6: an event parameter beats what has the same name; 11.3: but not who is trusted for addresses"""
    (data,) = parse(
        "v=2&tid=G-1&en=a&ep.ip_override=1.1.1.1&ep.user_agent=mine", headers={"User-Agent": "browser"}
    )
    assert data["ip_override"] == "203.0.113.9"
    assert data["user_agent"] == "mine"


def test_consent_of_an_update_is_seen() -> None:
    """11.1.4: gcu, gcut and sst.gcut"""
    (data,) = parse("v=2&tid=G-1&gcs=G111&gcu=1&en=page_view&sst.gcut=3")
    consent = data["x-sst-system_properties"]["consent"]
    assert (consent["isUpdate"], consent["updateType"]) == (True, "3")
    assert gtag.is_resent(data)
    (data,) = parse("v=2&tid=G-1&en=user_engagement&gcut=3&sst.syn=1&ep.ga_temp_client_id=5.6")
    assert data["x-sst-system_properties"]["consent"]["updateType"] == "3"
    assert data["ga_temp_client_id"] == "5.6"  # 11.3
    assert not gtag.is_resent(data)


# -- items as an event parameter ------------------------------------------------------------------------


def test_items_in_json_are_read_where_no_pr_came() -> None:
    """requirements X7; 11.3: `ep.items` that is no JSON never replaces items from prN"""
    json_items = "%5B%7B%22item_id%22%3A%22a%22%2C%22price%22%3A1.5%7D%5D"
    assert parse(f"v=2&tid=G-1&en=a&ep.items={json_items}")[0]["items"] == [{"item_id": "a", "price": 1.5}]
    for text in (json_items, "%5Bobject%20Object%5D", "null"):
        assert parse(f"v=2&tid=G-1&en=a&pr1=idx&ep.items={text}")[0]["items"] == [{"item_id": "x"}]
        assert parse(f"v=2&tid=G-1&en=a&ep.items={text}&pr1=idx")[0]["items"] == [{"item_id": "x"}]


@pytest.mark.parametrize("text", ["[object Object]", "{}", "[1]", "[" * 5000, "[{}", "null", "1", ""])
def test_items_that_are_no_list_of_objects_stay_text(text: str) -> None:
    assert parse(f"v=2&tid=G-1&en=a&ep.items={text}")[0]["items"] == text


# -- what the browser accepts ---------------------------------------------------------------------------


def test_a_command_stream_is_cut_as_the_browser_cuts_it() -> None:
    """google-runtime 7.4: pieces end with LF LF; first line `event: message`, second begins `data: `,
    the rest of it is JSON; what stands behind the last blank line is never used."""
    pixels = ["https://ads.example/x?a=1&b=2", "${transport_url}/_set_cookie?x=\ny"]
    *pieces, last = gtag.command_stream(pixels).decode().split("\n\n")
    assert last == ""
    commands = []
    for piece in pieces:
        first, second = piece.split("\n")
        assert first == "event: message"
        commands.append(json.loads(second.removeprefix("data: ")))
    assert commands[0] == {"send_pixel": pixels}
    assert commands[-1] == {"response": {"status_code": 200, "body": ""}}  # 5.6
    assert b"\r" not in gtag.command_stream(pixels)


def test_a_command_stream_without_pixels_only_ends() -> None:
    assert gtag.command_stream([]).count(b"event: message\ndata: ") == 1
