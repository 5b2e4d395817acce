"""Measurement Protocol client: what the goldens do not show. SPEC: ga4-protocol 3, R71, R72."""

import asyncio
import json
from typing import Any

import pytest
from cases import make_request

from sgtm.clients.measurement_protocol import ACCEPTED, REFUSED, UNCHECKED, Parameters, claim
from sgtm.component import find
from sgtm.messages import Answer, Claimed, Record, record_of

# printf %s s3cret | sha256sum
DIGEST = "1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0"
BODY = {"client_id": "1.2", "events": [{"name": "purchase"}]}


def claimed(target: str = "/mp/collect", body: Any = BODY, **parameters: Any) -> Claimed:
    text = body if isinstance(body, (str, bytes)) else json.dumps(body)
    said = claim(make_request({"method": "POST", "target": target, "body": text}), Parameters(**parameters))
    assert isinstance(said, Claimed)
    return said


def status(said: Claimed) -> int:
    assert isinstance(said.answer, Answer)
    return said.answer.status


@pytest.mark.parametrize(
    ("query", "verdict"),
    [
        ("api_secret=s3cret", ACCEPTED),
        ("api_secret=s3%63ret", ACCEPTED),
        ("api_secret=other", REFUSED),
        ("api_secret=", REFUSED),
        ("api_secret=%FF%ED%A0%80", REFUSED),
        ("", REFUSED),
    ],
)
def test_a_secret_is_compared_by_its_digest(query: str, verdict: str) -> None:
    for digest in (DIGEST, DIGEST.upper()):
        said = claimed(f"/mp/collect?{query}", api_secret_sha256=["0" * 64, digest])
        assert (said.verdict, said.is_sender_known) == (verdict, verdict == ACCEPTED)


def test_without_a_list_nothing_is_checked() -> None:
    said = claimed("/mp/collect?api_secret=x")
    assert (said.verdict, said.is_sender_known, len(said.events)) == (UNCHECKED, False, 1)


def test_the_record_keeps_the_verdict_and_not_the_secret() -> None:
    """design.md, Delivery."""
    request = make_request(
        {
            "method": "POST",
            "target": "/mp/collect?measurement_id=G-1&api_secret=s3cret",
            "body": json.dumps(BODY),
        }
    )
    parameters = Parameters(api_secret_sha256=[DIGEST])
    first = claim(request, parameters)
    assert isinstance(first, Claimed)
    record = record_of(request, first, "1")
    assert isinstance(record, Record)
    assert record.request.query == b"measurement_id=G-1"
    again = claim(record.request, parameters)
    assert isinstance(again, Claimed)
    assert (again.verdict, again.events, status(again)) == (first.verdict, first.events, status(first))


@pytest.mark.parametrize("name", ["api%5Fsecret", "%61pi_secret", "api_secre%74"])
def test_a_secret_under_an_escaped_name_is_not_in_the_record(name: str) -> None:
    """design.md, Delivery: the name means the same to the client, so it must to the record."""
    target = f"/mp/collect?measurement_id=G-1&{name}=s3cret&a+b=1"
    request = make_request({"method": "POST", "target": target, "body": json.dumps(BODY)})
    said = claim(request, Parameters(api_secret_sha256=[DIGEST]))
    assert isinstance(said, Claimed)
    assert said.verdict == ACCEPTED
    assert record_of(request, said, "1").request.query == b"measurement_id=G-1&a+b=1"


def test_a_refused_request_stays_refused_when_its_record_runs_again() -> None:
    request = make_request(
        {"method": "POST", "target": "/mp/collect", "body": json.dumps(BODY), "verdict": REFUSED}
    )
    said = claim(request, Parameters())
    assert isinstance(said, Claimed)
    assert (said.events, status(said)) == ([], 403)


def test_twenty_six_events_are_passed_on_and_said() -> None:
    """R71, R70."""
    said = claimed(body={"client_id": "1.2", "events": [{"name": "e"}] * 26})
    assert len(said.events) == 26
    assert said.warnings == ("events: 26 members, at most 25 are allowed. (EXCEEDED_MAX_ENTITIES)",)


def test_the_debug_path_follows_the_activation_path() -> None:
    component = find("client", "mpaw_client")
    assert component is not None
    assert component is find("client", "measurement_protocol")
    assert component.paths is not None
    assert component.paths(Parameters(activation_path="/t")) == ("/t", "/debug/t")
    said = claimed("/debug/t", activation_path="/t")
    assert (said.events, status(said)) == ([], 200)


def test_google_s_codes_are_in_the_answer() -> None:
    """3.3: the form of the answer."""
    body = {"client_id": "1.2", "events": [{"name": "session_start", "params": {"ga_x": 1}}]}
    answer = claimed("/debug/mp/collect", body=body).answer
    assert isinstance(answer, Answer)
    assert [
        (one["fieldPath"], one["validationCode"]) for one in json.loads(answer.body)["validationMessages"]
    ] == [("events[0].name", "NAME_RESERVED"), ("events[0].params.ga_x", "NAME_RESERVED")]


CONTAINER = """
sgtm: 1
consent: {unset: granted, gate: declared}
clients:
- name: Measurement Protocol
  type: measurement_protocol
  parameters: {api_secret_sha256: [%s]}
triggers:
- {name: All, type: all_events}
tags:
- name: GA4
  type: ga4
  firing_triggers: [All]
  parameters: {protocol: measurement_protocol, api_secret: "${GA4_SECRET}", endpoint: "%s"}
"""


async def post(port: int, target: str, body: bytes) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    headers = f"Host: shop.example\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    head = f"POST {target} HTTP/1.1\r\n{headers}"
    writer.write(head.encode() + body)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return int(answer.split(b" ")[1]), answer.partition(b"\r\n\r\n")[2]


async def test_a_payload_goes_from_socket_to_socket(
    serve: Any, vendor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GA4_SECRET", "outgoing-secret")
    served = await serve(CONTAINER % (DIGEST, vendor.url))
    body = json.dumps(
        {**BODY, "events": [{"name": "purchase", "params": {"session_id": 17, "value": 2.5}}]}
    ).encode()
    assert await post(served.port, "/mp/collect?measurement_id=G-1&api_secret=wrong", body) == (403, b"")
    assert await post(served.port, "/mp/collect?measurement_id=G-1&api_secret=s3cret", body) == (204, b"")
    code, answer = await post(served.port, "/debug/mp/collect", b"{}")
    assert (code, len(json.loads(answer)["validationMessages"])) == (200, 2)
    await served.worker.lanes.drain(5)
    (received,) = vendor.requests("/mp/collect")
    assert received.query == "measurement_id=G-1&api_secret=outgoing-secret"
    assert received.json()["events"] == [
        {
            "name": "purchase",
            "params": {"value": 2.5, "engagement_time_msec": 1, "session_id": "17", "session_number": 1},
        }
    ]
