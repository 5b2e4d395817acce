"""Events of libraries that nobody here wrote, sent to the real server on loopback.

SPEC: vendor-tags 5.5, 5.6; ga4-protocol 4 and 11.2.
"""

import asyncio
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from certificates import Authority, pem, write_pair
from conftest import Serve
from npm_packages import node_modules

from sgtm.messages import EventData, IncomingRequest
from sgtm.observability.walk import Walk

FOLDER = Path(__file__).parent
KEY = "the-write-key"
CONTAINER = {
    "sgtm": 1,
    "consent": {"unset": "granted", "gate": "declared"},
    "clients": [
        {
            "name": "Segment",
            "type": "segment",
            "parameters": {
                "write_key_sha256": [hashlib.sha256(KEY.encode()).hexdigest()],
                "snake_case": True,
            },
        },
        {"name": "Data Tag", "type": "data_tag"},
        {"name": "Universal Analytics", "type": "universal_analytics"},
    ],
}


class Server(NamedTuple):
    """A server, and what became of the requests that came to it."""

    url: str
    walks: list[Walk]

    def events(self) -> dict[str, EventData]:
        """Event data by name; each name once."""
        found = [event for walk in self.walks for event in walk.events if not event.note]
        assert len({event.name for event in found}) == len(found)
        return {event.name: event.data for event in found}

    def statuses(self) -> list[int]:
        return [walk.answer.status for walk in self.walks if walk.answer]


Start = Callable[..., Awaitable[Server]]


@pytest.fixture
def start(serve: Serve) -> Start:
    async def start(**settings: Any) -> Server:
        walks: list[Walk] = []

        def new_walk(_: IncomingRequest) -> Walk:
            walks.append(Walk())
            return walks[-1]

        served = await serve(CONTAINER, new_walk=new_walk, **settings)
        return Server(served.url, walks)

    return start


async def run(*words: str, **environment: str) -> Any:
    """What a program says on stdout, as JSON."""
    process = await asyncio.create_subprocess_exec(
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=FOLDER,
        env={**os.environ, **environment},
    )
    try:
        said, errors = await asyncio.wait_for(process.communicate(), 60)
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0, errors.decode()
    return json.loads(said)


async def node(*words: str, **environment: str) -> Any:
    await asyncio.to_thread(node_modules, FOLDER)
    program = shutil.which("node")
    assert program is not None, "the senders need node: apt-get install nodejs npm"
    return await run(program, "events.js", *words, **environment)


def ago_s(walk_micros: int, data: EventData) -> float:
    return (walk_micros - data["timestamp_micros"]) / 1e6


async def test_segments_library_for_node(start: Start) -> None:
    server = await start()
    assert await node("segment", server.url, KEY) == []
    assert server.statuses() == [200, 200]  # three calls, then the fourth
    events = server.events()
    assert [*events] == ["identify", "page_view", "purchase", "trial_started"]
    assert events["identify"]["user_data"] == {"email_address": "jane@example.com"}
    assert events["identify"]["x-ga-mp2-user_properties"] == {"plan": "gold"}
    assert (
        events["page_view"].items()
        >= {
            "page_location": "https://shop.example/thanks",
            "page_title": "Thanks",
            "page_name": "Thanks",
        }.items()
    )
    purchase = events["purchase"]
    assert (
        purchase.items()
        >= {
            "transaction_id": "T-1",
            "value": 29.98,
            "currency": "EUR",
            "client_id": "a-1",
            "user_id": "u-1",
            "event_id": "m-1",
            "ip_override": "198.51.100.7",
            "user_agent": "Phone/1.0",
        }.items()
    )
    assert purchase["items"] == [
        {"item_id": "A", "item_name": "Bag", "price": 9.99, "quantity": 2},
        {"item_id": "B", "price": 10},
    ]
    later = events["trial_started"]["timestamp_micros"] - purchase["timestamp_micros"]
    assert 3590e6 < later < 3700e6
    # the sender is a server: neither its address nor its user agent is the visitor's
    assert not events["identify"].keys() & {"ip_override", "user_agent"}


async def test_segments_library_sends_again_and_each_call_counts_once(start: Start) -> None:
    server = await start()
    for _ in range(2):
        assert await node("segment", server.url, KEY) == []
    notes = [event.note for walk in server.walks for event in walk.events if event.data["event_id"] == "m-1"]
    assert len(notes) == 2
    assert notes[0] == ""
    assert "delivered it before" in notes[1]


async def test_segments_library_hears_that_its_key_is_none(start: Start) -> None:
    server = await start()
    failures = await node("segment", server.url, "another-key")
    assert failures
    assert all("401" in failure for failure in failures)
    assert set(server.statuses()) == {401}
    assert server.events() == {}


async def test_segments_library_for_python_sends_packed_batches(start: Start) -> None:
    server = await start()
    program = str(FOLDER / "segment_events.py")
    assert await run(sys.executable, program, server.url, KEY) == []
    assert set(server.statuses()) == {200}
    events = server.events()
    assert events.keys() == {"screen_view", "add_to_cart", "group", "alias"}
    assert events["screen_view"].items() >= {"screen_name": "Cart", "client_id": "a-1"}.items()
    assert events["add_to_cart"]["items"] == [
        {"item_id": "A", "item_name": "Bäg", "price": 9.99, "quantity": 2}
    ]
    later = events["group"]["timestamp_micros"] - events["add_to_cart"]["timestamp_micros"]
    assert 3590e6 < later < 3700e6
    assert events["group"]["group_id"] == "g-1"
    assert events["alias"].items() >= {"previous_id": "a-1", "user_id": "u-1"}.items()


async def test_stapes_library_for_node(start: Start, tmp_path: Path) -> None:
    authority = Authority()
    certificate, key = write_pair(tmp_path, "server", authority.issue("localhost"))
    trusted = tmp_path / "authority.pem"
    trusted.write_bytes(pem(authority.certificate))
    server = await start(tls_certificates=(certificate,), tls_keys=(key,))
    port = server.url.rpartition(":")[2]
    said = await node("stape", f"https://localhost:{port}", NODE_EXTRA_CA_CERTS=str(trusted))
    assert server.statuses() == [200]
    # the name stands in the query encoded twice; the body has it right
    data = server.events()["add to cart"]
    assert said == {key: data[key] for key in ("timestamp", "unique_event_id")}
    assert (
        data.items()
        >= {
            "client_id": "123456",
            "currency": "EUR",
            "ip_override": "198.51.100.7",
            "page_location": "https://shop.example/bag?a=1",
            "value": 19.98,
            "x-ga-protocol_version": "2",
        }.items()
    )
    assert data["user_data"] == {
        "sha256_email_address": hashlib.sha256(b"jane@example.com").hexdigest(),
        "address": {"first_name": "Jäne"},
    }


async def test_a_library_for_universal_analytics(start: Start) -> None:
    server = await start()
    assert await node("universal", server.url) == "sent"
    # without batching it sends the transaction and its items one by one
    assert set(server.statuses()) == {200}
    found = [event for walk in server.walks for event in walk.events]
    assert [event.name for event in found] == ["page_view", "play", "purchase"]
    view, play, purchase = (event.data for event in found)
    assert (
        view.items()
        >= {
            "client_id": "35009a79-1a05-49d7-b876-2b884d0f825b",
            "x-ga-measurement_id": "UA-1-1",
            "page_location": "https://shop.example/thanks",
            "page_title": "Thänks & more",
            "x-ga-mp1-cd1": "gold",
        }.items()
    )
    assert (
        play.items()
        >= {
            "event_category": "Video",
            "event_label": "holiday",
            "value": 42,
            "ip_override": "127.0.0.0",
        }.items()
    )
    assert purchase.items() >= {"transaction_id": "T-1", "value": 29.98, "shipping": 5, "tax": 4.79}.items()
    assert [item["item_id"] for item in purchase["items"]] == ["A", "B"]
