"""What is refused before anything is parsed: SPEC reliability 5.1."""

import asyncio

import pytest
from cases import make_request
from conftest import Serve
from containers import client, container, echo
from raw_http import RawConnection, ask, request

from sgtm.component import find
from sgtm.container.container import Container, ContainerClient, Hosts
from sgtm.messages import Answer, Claimed, Declined, IncomingRequest
from sgtm.observability.metrics import Counters
from sgtm.refusals import dropped, refusal

SHOP = """
sgtm: 1
name: shop
consent: {unset: granted, gate: declared}
clients:
  - name: GA4
    type: ga4
    allowed_origins: [https://shop.example]
    parameters: {measurement_ids: [G-OURS], gtag_ids: [G-OURS]}
  - {name: Web, type: web_container, parameters: {allowed_container_ids: [GTM-OURS]}}
"""
OURS, THEIRS = "/g/collect?v=2&tid=G-OURS&cid=1.2&en=x", "/g/collect?v=2&tid=G-THEIRS&cid=1.2&en=x"


def dropped_count(served, reason: str) -> int:
    return served.worker.counters.value("sgtm_requests_dropped_total", reason)


async def test_a_hit_of_another_property_is_answered_like_ours_and_makes_no_event(serve: Serve) -> None:
    # SPEC: reliability 5.1: an unknown id on collect is 204, counted, never forwarded
    served = await serve(SHOP)
    headers = {"Origin": "https://shop.example"}
    ours, theirs = [await ask(served.port, target, headers=headers) for target in (OURS, THEIRS)]
    assert (ours.status, theirs.status) == (204, 204)
    without_date = [[pair for pair in answer.headers if pair[0] != "Date"] for answer in (ours, theirs)]
    assert sorted(without_date[0]) == sorted(without_date[1])
    assert ours.header("Access-Control-Allow-Origin") == "https://shop.example"
    counters = served.worker.counters
    assert dropped_count(served, "measurement id not listed") == 1
    assert counters.value("sgtm_requests_claimed_total", "GA4") == 1
    assert counters.value("sgtm_events_total", "GA4") == 1


@pytest.mark.parametrize("path", ["/gtm.js?id=GTM-THEIRS", "/gtm.js", "/ns.html?id=x"])
async def test_a_script_that_is_not_listed_is_400(path: str, serve: Serve) -> None:
    served = await serve(SHOP)
    assert (await ask(served.port, path)).status == 400
    assert served.worker.counters.value("sgtm_requests_refused_total", "script id not listed") == 1


async def test_gtag_of_a_tag_that_is_not_listed_is_400_though_another_client_is_asked(serve: Serve) -> None:
    # R293; a web container may serve it as a dependency
    served = await serve(SHOP)
    assert (await ask(served.port, "/gtag/js?id=G-THEIRS")).status == 400
    assert served.worker.counters.value("sgtm_requests_unclaimed_total") == 1


async def test_another_origin_is_refused_before_it_is_parsed(serve: Serve) -> None:
    served = await serve(SHOP)
    answer = await ask(served.port, OURS, headers={"Origin": "https://evil.example"})
    assert (answer.status, answer.header("Access-Control-Allow-Origin")) == (403, None)
    assert served.worker.counters.value("sgtm_requests_refused_total", "origin") == 1
    assert served.worker.counters.value("sgtm_requests_claimed_total", "GA4") == 0


def test_the_id_is_judged_before_the_origin() -> None:
    request = _hit("v=2&tid=G-THEIRS", origin="https://evil.example")
    answer = refusal(_ga4_container(), request, Counters())
    assert answer is not None
    assert answer.status == 204


# -- the GA4 client's look agrees with its claim ------------------------------------------------------

BODIES = [b"", b"en=a", b"en=a&tid=G-OURS", b"en=a&tid=G-THEIRS", b"en=a&tid=G-OURS\r\nen=b&tid=G-THEIRS"]
QUERIES = ["", "v=2&tid=G-OURS&en=x", "v=2&tid=G-THEIRS&en=x", "v=2&en=x", "v=1&tid=UA-1", "tid=G-THEIRS"]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("query", QUERIES)
def test_what_the_look_refuses_the_claim_drops(query: str, body: bytes) -> None:
    component, parameters = _ga4()
    request = _hit(query, body)
    assert component.refuse is not None
    refused = component.refuse(request, parameters)
    said = component.function(request, parameters)
    if refused is not None:
        assert isinstance(said, Claimed)
        assert (said.events, said.answer) == ([], refused.answer)


@pytest.mark.parametrize(
    ("query", "body", "is_refused"),
    [
        ("v=2&tid=G-THEIRS&en=x", b"", True),
        ("v=2&tid=G-THEIRS", b"en=a\r\nen=b", True),
        ("", b"v=2&tid=G-THEIRS&en=x", True),
        ("v=2&tid=G-THEIRS", b"en=a&tid=G-OURS", False),
        ("v=2&tid=G-OURS&en=x", b"", False),
        ("v=2&en=x", b"", False),
    ],
)
def test_what_the_look_can_tell(query: str, body: bytes, is_refused: bool) -> None:
    component, parameters = _ga4()
    assert component.refuse is not None
    assert (component.refuse(_hit(query, body), parameters) is not None) == is_refused


def test_a_client_without_a_list_refuses_nobody() -> None:
    component, _ = _ga4()
    assert component.refuse is not None
    assert component.refuse(_hit("v=2&tid=G-THEIRS&en=x"), component.parameters_type()) is None


# -- whose a path is ----------------------------------------------------------------------------------


def _declines(_: IncomingRequest) -> Declined:
    return Declined("no")


def owners(*clients: ContainerClient, host: str = "shop.example") -> dict[str, tuple[str, bool]]:
    endpoints = {path: container(clients).endpoint(path, host) for path in ("/a", "/b", "/c")}
    return {
        path: (known.owner.name, known.is_sole)
        for path, known in endpoints.items()
        if known and known.is_first
    }


def test_a_path_has_an_owner_where_no_client_above_could_claim() -> None:
    first, second = client(echo, "first", paths=("/a", "/b")), client(echo, "second", paths=("/b", "/c"))
    assert owners(first, second) == {"/a": ("first", True), "/b": ("first", False), "/c": ("second", True)}


def test_a_client_that_cannot_say_its_paths_makes_all_below_it_uncertain() -> None:
    above, any_path = client(echo, "above", paths=("/a",)), client(echo, "any")
    below = client(echo, "below", paths=("/a", "/b"))
    assert owners(above, any_path, below) == {"/a": ("above", False)}


def test_a_client_owns_its_paths_for_its_hosts_only() -> None:
    one = client(echo, "one", paths=("/a",), hosts=Hosts.of(("one.example",)))
    other = client(echo, "other", paths=("/a",))
    assert owners(one, other, host="one.example") == {"/a": ("one", False)}
    assert owners(one, other) == {"/a": ("other", True)}


async def test_of_two_clients_on_one_path_the_second_may_allow_the_origin(serve: Serve) -> None:
    served = await serve(
        """
sgtm: 1
name: two
consent: {unset: granted, gate: declared}
clients:
  - {name: GA4, type: ga4, allowed_origins: ["https://a.example"], parameters: {paths: [/c]}}
  - {name: Json, type: json, allowed_origins: ["https://b.example"], parameters: {paths: [/c]}}
"""
    )
    answer = await ask(
        served.port, "/c", method="POST", body=b'{"event_name":"x"}', headers={"Origin": "https://b.example"}
    )
    assert answer.status == 200


def test_a_look_that_raises_costs_nothing_but_itself() -> None:
    def broken(request: IncomingRequest, parameters: object) -> None:
        raise ValueError("secret")

    counters = Counters()
    assert refusal(container([client(echo, paths=("/c",), refuse=broken)]), _hit(path="/c"), counters) is None
    assert counters.value("sgtm_client_errors_total", "Test") == 1


def test_a_dropped_hit_looks_like_a_taken_one_to_its_page() -> None:
    answer = dropped(_ga4_container(), _hit(origin="https://shop.example"))
    assert ("Access-Control-Allow-Origin", "https://shop.example") in answer.headers
    assert answer.status == 204
    assert dropped(container([]), _hit()) == Answer(204, (("Cache-Control", "no-store"),))


def _hit(
    query: str = "", body: bytes = b"", *, path: str = "/g/collect", origin: str = ""
) -> IncomingRequest:
    headers = {"origin": origin} if origin else {}
    method = "POST" if body else "GET"
    return make_request({"method": method, "target": f"{path}?{query}", "headers": headers, "body": body})


def _ga4():
    component = find("client", "ga4")
    assert component is not None
    return component, component.parameters_type(measurement_ids=("G-OURS",))


def _ga4_container() -> Container:
    component, parameters = _ga4()
    return container([client(echo, paths=("/g/collect",), refuse=component.refuse, parameters=parameters)])


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request(THEIRS), 204),
        (request("/gtm.js?id=GTM-THEIRS"), 400),
        (request(OURS, headers={"Origin": "https://evil.example"}), 403),
        (request(THEIRS, method="POST", body=b"en=a\r\nen=b"), 204),
    ],
    ids=["measurement id", "script id", "origin", "batch"],
)
async def test_a_refusal_holds_wherever_the_request_is_cut(data: bytes, status: int, serve: Serve) -> None:
    # SPEC: reliability 0.15
    served = await serve(SHOP, connections_per_address=0)
    for cut in range(1, len(data)):
        async with RawConnection(served.port) as connection:
            connection.send(data[:cut])
            await asyncio.sleep(0.001)
            connection.send(data[cut:])
            assert (cut, (await connection.read_answer()).status) == (cut, status)
    assert served.worker.counters.value("sgtm_events_total", "GA4") == 0
    assert served.worker.counters.value("sgtm_requests_claimed_total", "GA4") == 0
