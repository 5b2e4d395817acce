"""Path prefixes, served hosts, several sites on one server. SPEC: requirements R12, R13, R291."""

import json

import pytest
from conftest import Serve
from containers import client, container, echo
from hypothesis import given
from hypothesis import strategies as st
from raw_http import RawAnswer, exchange

from sgtm.container.container import Hosts
from sgtm.messages import Answer, Claimed, Cookie, redirect
from sgtm.observability.walk import Walk
from sgtm.server.sites import Sites

BOTH_WAYS = True
PREFIX = "/metrics-x"
ECHO = container([client(echo, paths=("/g/collect",))])


async def get(port: int, target: str, host: str = "shop.example", method: str = "GET", **headers: str):
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return await exchange(port, "\r\n".join([*lines, "", ""]).encode(), method == "HEAD")


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/metrics-x/g/collect", "/g/collect"),
        ("/g/collect", "/g/collect"),  # a proxy took it off
        ("/metrics-x", "/"),
        ("/metrics-x/", "/"),
        ("/metrics-xy/g", "/metrics-xy/g"),
        ("/metrics-x//g", "//g"),
        ("/Metrics-x/g", "/Metrics-x/g"),
        ("/metrics%2Dx/g", "/metrics%2Dx/g"),
        ("/metrics-x/metrics-x/g", "/metrics-x/g"),
        ("/", "/"),
    ],
)
def test_the_prefix_is_taken_off_once(path: str, inside: str) -> None:
    assert Sites(PREFIX).path_inside(path) == inside
    assert Sites().path_inside(path) == path


@given(st.text("/ab-%.", max_size=12).map(lambda text: "/" + text))
def test_what_is_inside_is_the_same_whoever_took_the_prefix_off(path: str) -> None:
    sites = Sites("/a/b")
    assert sites.path_inside("/a/b" + path) == path
    assert sites.path_inside(path).startswith("/")


@pytest.mark.parametrize("given_path", [PREFIX, ""], ids=["prefix on the wire", "stripped by a proxy"])
class TestBelowAPrefix:
    """The same results with and without a proxy that strips it (R291)."""

    async def test_a_client_claims_its_own_path(self, serve: Serve, given_path: str) -> None:
        served = await serve(ECHO, path_prefix=PREFIX)
        answer = await get(served.port, f"{given_path}/g/collect?v=2")
        assert answer.status == 200
        assert (answer.json()["path"], answer.json()["query"]) == ("/g/collect", "v=2")

    @pytest.mark.parametrize("path", ["/live", "/ready", "/robots.txt", "/favicon.ico"])
    async def test_health_is_answered(self, serve: Serve, given_path: str, path: str) -> None:
        served = await serve(ECHO, path_prefix=PREFIX)
        assert (await get(served.port, given_path + path)).status in (200, 204)
        assert served.worker.counters.value("sgtm_requests_claimed_total", "Test") == 0

    async def test_redirects_and_cookies_are_the_browsers(self, serve: Serve, given_path: str) -> None:
        cookies = (Cookie("site", "1", 60), Cookie("part", "2", 60, path="/g"))

        def moves(request):
            to = {"/own": "/g/next?x=1", "/other": "https://b.example/y", "//other": "//b.example/z"}
            answer = redirect(to[request.path])
            return Claimed([], Answer(answer.status, answer.headers, cookies=cookies))

        served = await serve(container([client(moves)]), path_prefix=PREFIX)
        answer = await get(served.port, f"{given_path}/own")
        assert answer.header("Location") == f"{PREFIX}/g/next?x=1"
        site, part = answer.all("Set-Cookie")
        assert "; Path=/;" in site  # the visitor is known in the whole site
        assert f"; Path={PREFIX}/g;" in part
        assert (await get(served.port, f"{given_path}/other")).header("Location") == "https://b.example/y"
        assert (await get(served.port, f"{given_path}//other")).header("Location") == "//b.example/z"

    async def test_a_preflight_is_answered(self, serve: Serve, given_path: str) -> None:
        served = await serve(ECHO, path_prefix=PREFIX)
        answer = await get(
            served.port, f"{given_path}/g/collect", method="OPTIONS", Origin="https://a.example"
        )
        assert (answer.status, answer.header("Access-Control-Allow-Origin")) == (204, "https://a.example")

    async def test_a_renamed_script_is_served(self, serve: Serve, given_path: str) -> None:
        written = {
            "sgtm": 1,
            "clients": [
                {
                    "name": "Web",
                    "type": "web_container",
                    "parameters": {
                        "allowed_container_ids": ["GTM-ABC"],
                        "container_paths": {"GTM-ABC": "/shop.js"},
                    },
                }
            ],
        }
        served = await serve(written, path_prefix=PREFIX, script_upstream="http://127.0.0.1:9")
        answer = await get(served.port, f"{given_path}/shop.js")
        assert answer.status == 502  # claimed; this upstream does not exist
        assert served.worker.counters.value("sgtm_requests_claimed_total", "Web") == 1


async def test_longer_targets_are_allowed_below_the_prefix_too(serve: Serve) -> None:
    served = await serve(ECHO, path_prefix=PREFIX, request_line_bytes=100, collect_line_bytes=1_000)
    query = "x" * 500
    assert (await get(served.port, f"{PREFIX}/g/collect?{query}")).status == 200
    assert (await get(served.port, f"{PREFIX}/other?{query}")).status == 414


@pytest.mark.parametrize(
    ("patterns", "host", "is_served"),
    [
        (("shop.example",), "shop.example", True),
        (("Shop.Example",), "shop.example", True),
        (("shop.example",), "a.shop.example", False),
        (("shop.example",), "evilshop.example", False),
        (("*.shop.example",), "a.b.shop.example", True),
        (("*.shop.example",), "shop.example", False),
        (("*.shop.example",), "evilshop.example", False),
        (("a.example", "b.example"), "b.example", True),
        (("a.example",), "", False),
    ],
)
def test_a_list_of_hosts(patterns: tuple[str, ...], host: str, is_served: bool) -> None:
    assert Hosts.of(patterns).serves(host) is is_served
    assert Sites(hosts=Hosts.of(patterns)).serves(host) is is_served


async def test_a_host_that_is_not_served_is_421_but_for_probes(serve: Serve) -> None:
    served = await serve(ECHO, host_names=("a.example", "*.b.example"))
    for host in ("a.example", "A.example.", "a.example:8080", "x.b.example"):
        assert (await get(served.port, "/g/collect", host)).status == 200
    for host in ("b.example", "evil.example", "127.0.0.1", ""):
        answer = await get(served.port, "/g/collect", host)
        assert (answer.status, answer.header("Connection")) == (421, "close")
        assert b"evil" not in answer.body
        assert (await get(served.port, "/ready", host)).status == 200  # asked by address
    assert served.worker.counters.value("sgtm_requests_refused_total", "host not served") == 4


async def test_any_host_is_served_unless_told(serve: Serve) -> None:
    served = await serve(ECHO)
    assert (await get(served.port, "/g/collect", "anything.example")).status == 200


async def test_the_host_that_counts_is_the_one_that_a_trusted_proxy_forwarded(serve: Serve) -> None:
    served = await serve(ECHO, host_names=("a.example",), trusted_proxies=("127.0.0.1",))
    answer = await get(served.port, "/g/collect", "internal", X_Forwarded_Host="a.example")
    assert (answer.status, answer.json()["host"]) == (200, "a.example")


# -- two sites, one container --------------------------------------------------------------------

TWO_SITES = """
sgtm: 1
clients:
- {name: Shop A, type: json, priority: 2, hosts: [sst.shop-a.example], parameters: {paths: [/data]}}
- {name: Shop B, type: json, priority: 1, hosts: ["*.Shop-B.example"], parameters: {paths: [/data]}}
"""


async def post(port: int, host: str) -> RawAnswer:
    body = json.dumps({"event_name": "x", "client_id": "1.1"}).encode()
    head = f"POST /data HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return await exchange(port, head + body)


async def test_each_site_has_its_own_client(serve: Serve) -> None:
    walks = []

    def new_walk(request):
        walks.append(Walk())
        return walks[-1]

    served = await serve(TWO_SITES, new_walk=new_walk)
    assert (await post(served.port, "SST.shop-a.example:443")).status < 300
    assert (await post(served.port, "sst.shop-b.example")).status < 300
    assert (await post(served.port, "sst.shop-c.example")).status == 400
    counters = served.worker.counters
    assert counters.value("sgtm_requests_claimed_total", "Shop A") == 1
    assert counters.value("sgtm_requests_claimed_total", "Shop B") == 1
    assert [walk.claimed_by for walk in walks[:2]] == ["Shop A", "Shop B"]
    assert walks[1].declined == [("Shop A", "the host is none of this client's hosts")]
    assert [name for name, _ in walks[2].declined] == ["Shop A", "Shop B"]


async def test_a_preflight_belongs_to_the_clients_of_its_host(serve: Serve) -> None:
    served = await serve(TWO_SITES)
    for host, status in (("sst.shop-a.example", 204), ("sst.shop-c.example", 400)):
        answer = await get(served.port, "/data", host, "OPTIONS", Origin="https://shop.example")
        assert answer.status == status


async def test_cookies_are_scoped_to_the_site_that_was_addressed(serve: Serve) -> None:
    # SPEC: R12
    def sets(_):
        return Claimed([], Answer(204, cookies=(Cookie("id", "1", 60),)))

    served = await serve(container([client(sets)]))
    for host, domain in (("sst.shop-a.example", "shop-a.example"), ("m.shop-b.example", "shop-b.example")):
        answer = await get(served.port, "/", host)
        assert f"; Domain={domain};" in (answer.header("Set-Cookie") or "")
