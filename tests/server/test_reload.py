"""A worker's container is swapped whole; an event keeps the one that it began with."""

import asyncio
import gc
import weakref
from typing import Any

from conftest import Serve
from containers import client, container, tag
from doubles import eventually
from msgspec.structs import replace
from raw_http import RawConnection, ask, request

from sgtm.container.container import Container
from sgtm.delivery.credentials import CredentialSource
from sgtm.demo.vendor import Fault, Vendor
from sgtm.messages import Answer, Claimed, CredentialUse, OutgoingRequest, Pending


def answering(text: str, **changes: Any) -> Container:
    made = container(
        [client(lambda _: Claimed([], Answer(200, (), text.encode())), text, paths=(f"/{text}",))]
    )
    return replace(made, version=text, **changes)


async def test_the_next_request_meets_the_new_container(serve: Serve) -> None:
    served = await serve(answering("one"))
    async with RawConnection(served.port) as connection:
        for text in ("one", "two", "three"):
            served.worker.reload(answering(text))
            connection.send(request("/"))
            assert (await connection.read_answer()).body == text.encode()


async def test_longer_targets_are_for_the_paths_of_the_new_container(serve: Serve) -> None:
    served = await serve(answering("one"))
    assert (await ask(served.port, "/one?" + "x" * 9000)).status == 200
    served.worker.reload(answering("two"))
    assert (await ask(served.port, "/one?" + "x" * 9000)).status == 414
    assert (await ask(served.port, "/two?" + "x" * 9000)).status == 200


async def test_old_containers_are_freed(serve: Serve) -> None:
    # SPEC: reliability 6, memory: proved by a weakref over 100 reloads
    served = await serve(answering("first"))
    alive: list[weakref.ref[Container]] = []
    for number in range(100):
        new = answering(f"n{number}")
        alive.append(weakref.ref(new))
        served.worker.reload(new)
        del new
        assert (await ask(served.port, "/")).status == 200
    gc.collect()
    assert [ref() is not None for ref in alive] == [False] * 99 + [True]
    assert len(served.worker._containers) == 1


async def test_an_event_keeps_its_container_and_what_that_names(serve: Serve, vendor: Vendor) -> None:
    """It waits for its tag, and retries; meanwhile another container has come, without the tag, its
    destination and its credential."""
    may_go_on = asyncio.Event()
    url = vendor.url.replace("127.0.0.1", "localhost") + "/in"
    use = CredentialUse("Token", "header", "X-Token")

    async def later() -> list[OutgoingRequest]:
        await may_go_on.wait()
        return [OutgoingRequest("POST", url, credential=use)]

    hits = client(lambda _: Claimed([{"event_name": "x"}], Answer(204)), paths=("/c",))
    old = replace(
        container([hits], [tag(lambda _: Pending(later()))]),
        credentials={"Token": CredentialSource(literal="secret")},
        destinations=frozenset({("localhost", int(vendor.url.rpartition(":")[2]))}),
    )
    served = await serve(old, airgapped=True, egress_allow=("127.0.0.0/8",))
    vendor.fail("/in", Fault(status=503))
    assert (await ask(served.port, "/c")).status == 204
    served.worker.reload(answering("two"))
    del old, hits
    may_go_on.set()
    await vendor.wait_for(1, "/in")
    vendor.fail("/in", None)
    received = (await vendor.wait_for(2, "/in"))[-1]
    assert received.header("X-Token") == "secret"
    await eventually(lambda: not served.worker.lanes.pending)
    del received
    gc.collect()
    assert served.worker._credentials.sources == {}  # the last such event is settled
