"""What a request must have before a client is asked: SPEC requirements R44."""

import gzip
import hashlib

import pytest
from cases import make_request
from conftest import Serve
from msgspec import convert
from raw_http import ask

from sgtm.answers import preflight
from sgtm.container.compile import compile_container
from sgtm.container.matching import MAX_BODY_BYTES, RequestCondition, compile_matching
from sgtm.container.model import ContainerVersion
from sgtm.observability.metrics import Counters
from sgtm.refusals import refusal

BODY = b'{"order": {"shop": "berlin", "value": 12.5, "items": [{"id": 7}]}}'


def request(target="/shop/cart?tid=G-1&lang=de+at", body=BODY, **more):
    headers = {"X-Shop": "berlin", "Cookie": "group=b; other=1"}
    return make_request({"method": "POST", "target": target, "headers": headers, "body": body, **more})


def failure(condition, of=None):
    matching = compile_matching([convert(condition, RequestCondition)])
    return matching.failure(of or request())


@pytest.mark.parametrize(
    ("part", "name", "operator", "compare_with"),
    [
        ("path", "", "equals", "/shop/cart"),
        ("path", "", "starts_with", "/shop/"),
        ("path", "", "matches_regex", "^/shop/c[a-z]+$"),
        ("path", "", "equals", ["/other", "/shop/cart"]),
        ("method", "", "equals", ["PUT", "POST"]),
        ("header", "x-SHOP", "equals", "berlin"),
        ("query_parameter", "lang", "equals", "de at"),
        ("cookie", "group", "equals", "b"),
        ("cookie", "none", "equals", "undefined"),  # what is missing compares as in triggers
        ("body_field", "order.shop", "ends_with", "lin"),
        ("body_field", "order.value", "greater", 12),
        ("body_field", "order.items.0.id", "equals", 7),
    ],
)
def test_a_part_of_the_request_is_compared_as_triggers_compare(part, name, operator, compare_with):
    condition = {"part": part, "name": name, "operator": operator, "compare_with": compare_with}
    assert failure(condition) == ""
    assert failure({**condition, "negate": True}) != ""
    other = make_request({"target": "/else", "body": b"{}"})
    holds_for_what_is_missing = compare_with == "undefined"
    assert (failure(condition, other) == "") == holds_for_what_is_missing


def test_the_reason_names_the_condition_and_nothing_of_the_request():
    condition = {"part": "header", "name": "X-Shop", "operator": "equals", "compare_with": "rome"}
    assert failure(condition) == "its match `header X-Shop equals rome` does not hold"
    condition |= {"compare_with": ["berlin", "rome"], "negate": True}
    assert failure(condition) == "its match `header X-Shop does not equal berlin, rome` does not hold"


@pytest.mark.parametrize("body", [b"", b"no json", b"[" * 100_000, b"\x1f\x8bdamaged", b'"text"'])
def test_a_field_of_a_body_that_cannot_be_read_is_missing(body):
    condition = {"part": "body_field", "name": "order.shop", "operator": "equals"}
    assert failure({**condition, "compare_with": "undefined"}, request(body=body)) == ""


def test_a_packed_body_is_looked_into_and_one_that_is_too_large_is_not():
    condition = {"part": "body_field", "name": "order.shop", "operator": "equals", "compare_with": "berlin"}
    assert failure(condition, request(body=gzip.compress(BODY))) == ""
    blanks = b" " * (MAX_BODY_BYTES - len(BODY))
    assert failure(condition, request(body=BODY + blanks)) == ""
    assert failure(condition, request(body=BODY + blanks + b" ")) != ""
    noise = hashlib.shake_128(b"noise").hexdigest(MAX_BODY_BYTES // 2 - 10).encode()  # packs to a half only
    packed = [gzip.compress(b'{"x": "%s", %s' % (text, BODY[1:]), 1) for text in (noise[:-200], noise)]
    assert [failure(condition, request(body=body)) == "" for body in packed] == [True, False]


BERLIN = [{"part": "header", "name": "X-Shop", "operator": "equals", "compare_with": "berlin"}]


def container_of(*clients):
    defaults = {"type": "json", "parameters": {"paths": ["/orders"]}}
    written = [{**defaults, **one, "priority": -place} for place, one in enumerate(clients)]
    return compile_container(convert({"clients": written}, ContainerVersion))


def test_a_client_with_conditions_does_not_own_its_path_for_certain():
    # SPEC: reliability 5.1: only where the path alone tells which client would claim the request
    sure = container_of({"name": "A", "allowed_origins": ["https://a.example"]})
    unsure = container_of({"name": "A", "allowed_origins": ["https://a.example"], "match": BERLIN})
    stranger = request("/orders", headers={"Origin": "https://b.example"})
    assert refusal(sure, stranger, Counters()).status == 403
    assert refusal(unsure, stranger, Counters()) is None
    assert [one.endpoint("/orders", "").is_first for one in (sure, unsure)] == [True, False]


def allowed(container, target="/orders"):
    asked = {"method": "OPTIONS", "target": target, "headers": {"Origin": "https://a.example"}}
    answer = preflight(container, make_request(asked))
    return answer and dict(answer.headers)["Access-Control-Allow-Headers"].split(", ")[2:]


def test_a_preflight_allows_what_any_client_may_be_asked_with():
    first = {"name": "A", "allowed_headers": ["x-shop"], "match": BERLIN}
    second, third = [{"name": name, "allowed_headers": [f"x-{name}"]} for name in "bc"]
    assert allowed(container_of(first, second, third)) == ["x-shop", "x-b"]
    assert allowed(container_of(second, first)) == ["x-b"]


def test_a_preflight_allows_what_senders_of_a_type_use():
    # what Segment's library for pages was seen to send
    segment = {"name": "S", "type": "segment", "allowed_headers": ["x-shop"], "parameters": {}}
    assert allowed(container_of(segment), "/v1/t") == ["authorization", "x-shop"]


def test_a_preflight_is_answered_by_what_its_address_tells():
    by_query = [{"part": "query_parameter", "name": "shop", "operator": "equals", "compare_with": "1"}]
    container = container_of({"name": "A", "match": [*by_query, *BERLIN]})
    assert allowed(container, "/orders?shop=1") == []
    assert allowed(container, "/orders?shop=2") is None


TWO_SHOPS = """
sgtm: 1
name: shops
consent: {unset: granted, gate: declared}
clients:
- name: Berlin
  type: json
  priority: 2
  match: [{part: header, name: X-Shop, operator: equals, compare_with: berlin}]
  parameters: {paths: [/orders], status: 201}
- name: Others
  type: json
  priority: 1
  match: [{part: body_field, name: shop, operator: matches_regex, compare_with: "^[a-z]+$"}]
  parameters: {paths: [/orders], status: 202}
"""


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"X-Shop": "berlin"}, b'{"shop": "x"}', 201),
        ({"X-Shop": "rome"}, b'{"shop": "rome"}', 202),
        ({}, b'{"shop": "R2"}', 400),
    ],
)
async def test_the_first_client_whose_conditions_hold_is_asked(headers, body, status, serve: Serve):
    served = await serve(TWO_SHOPS)
    answer = await ask(served.port, "/orders", method="POST", headers=headers, body=body)
    assert answer.status == status
