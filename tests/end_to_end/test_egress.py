"""`egress_allow` and `airgapped` of a whole server (SPEC: reliability 3, rules 1 and 2; R183, R360)."""

import asyncio
import json
import socket

import pytest
from doubles import eventually
from raw_http import exchange, request

CONTAINER = """
sgtm: 1
consent: {{unset: granted, gate: declared}}
clients:
- {{name: Data, type: json, parameters: {{paths: [/data]}}}}
tags:
- {{name: Own, type: http_request, firing_triggers: [All Events], parameters: {{url: "{url}"}}}}
"""
BODY = json.dumps({"event_name": "x", "client_id": "1.1"}).encode()
HIT = request("/data", method="POST", body=BODY)


def count(served, name, label):
    return served.worker.counters.value(name, label)


async def test_a_container_that_names_a_private_host_does_not_allow_it(serve, vendor, caplog):
    served = await serve(CONTAINER.format(url=vendor.url + "/own"), egress_allow=())
    assert (await exchange(served.port, HIT)).status < 300
    await eventually(lambda: count(served, "sgtm_deliveries_dead_total", "Own") == 1)
    assert count(served, "sgtm_egress_refused_total", "loopback") == 1
    assert not vendor.received
    (line,) = (one for one in caplog.records if one.message == "delivery given up")
    assert "--egress-allow 127.0.0.0/8" in line.reason


@pytest.mark.parametrize("is_airgapped", [False, True])
async def test_what_the_container_names_and_the_operator_allows_is_sent(serve, vendor, is_airgapped):
    served = await serve(CONTAINER.format(url=vendor.url + "/own"), airgapped=is_airgapped)
    await exchange(served.port, HIT)
    await vendor.wait_for(1, "/own")


async def test_a_server_does_not_send_to_itself(serve):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    served = await serve(CONTAINER.format(url=f"http://127.0.0.1:{port}/data"), port=port)
    await exchange(served.port, HIT)
    await eventually(lambda: count(served, "sgtm_deliveries_dead_total", "Own") == 1)
    assert count(served, "sgtm_egress_refused_total", "own listener") == 1
    assert count(served, "sgtm_requests_claimed_total", "Data") == 1


async def test_a_hit_causes_no_more_than_the_operator_allows(serve, vendor):
    # SPEC: reliability 3, rule 10
    served = await serve(CONTAINER.format(url=vendor.url + "/own"), hit_bytes=5)
    await exchange(served.port, HIT)
    await eventually(lambda: count(served, "sgtm_deliveries_refused_total", "Own") == 1)
    assert not vendor.received


async def test_what_is_sent_goes_through_the_proxy_and_from_the_source_address(serve):
    # SPEC: requirements R216
    heard = []

    async def proxy(reader, writer):
        heard.append((writer.get_extra_info("peername")[0], (await reader.readline()).decode()))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    through = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    container = CONTAINER.format(url="http://vendor.example/own")
    served = await serve(container, egress_proxy=through, egress_sources=("127.0.0.8",), egress_allow=())
    await exchange(served.port, HIT)
    await eventually(lambda: count(served, "sgtm_deliveries_done_total", "Own") == 1)
    assert heard == [("127.0.0.8", "POST http://vendor.example/own HTTP/1.1\r\n")]
    server.close()
