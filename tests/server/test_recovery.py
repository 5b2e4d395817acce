"""A vendor is down: records wait on the disk, nothing waits in memory, and all of it arrives afterwards."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from conftest import Serve
from doubles import eventually
from raw_http import ask

from sgtm.container.versions import Versions
from sgtm.demo.vendor import Fault, Vendor
from sgtm.server.worker import Worker

# SPEC: design.md Delivery; R97, R134, R271, R272, R273.

JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes after a moment instead of seconds."""
    for module in ("circuit", "standing"):
        monkeypatch.setattr(f"sgtm.delivery.{module}.FIRST_PROBE_S", 0.2)
        monkeypatch.setattr(f"sgtm.delivery.{module}.LAST_PROBE_S", 0.4)
    monkeypatch.setattr("sgtm.server.recovery.EXPIRY_S", 0.2)


def tag(name: str, vendor: Vendor, **delivery: object) -> dict[str, object]:
    body = {"json": {"id": "{{id}}"}}
    return {
        "name": name,
        "type": "http_request",
        "firing_triggers": ["All Events"],
        "delivery": delivery,
        "parameters": {"url": f"{vendor.url}/{name}", "body": body},
    }


def container(*tags: dict[str, object]) -> dict[str, object]:
    return {
        "sgtm": 1,
        "consent": {"unset": "granted", "gate": "declared"},
        "clients": [{"name": "Shop", "type": "json", "parameters": {"paths": ["/data"]}}],
        "variables": [{"name": "id", "type": "event_data", "parameters": {"key_path": "id"}}],
        "tags": list(tags),
    }


async def send(port: int, first: int, count: int) -> None:
    """Hits with these ids; each is answered at once whatever the vendor does."""
    for number in range(first, first + count):
        body = json.dumps({"event_name": "e", "id": number}).encode()
        answer = await ask(port, "/data", method="POST", headers=JSON, body=body)
        assert answer.status < 300


def ids(vendor: Vendor, path: str) -> Counter[int]:
    """What the vendor took."""
    return Counter(it.json()["id"] for it in vendor.requests(path) if it.status < 300)


def is_empty(worker: Worker) -> bool:
    return len(worker.outbox) == 0 and worker.lanes.pending == 0


async def test_after_an_outage_everything_arrives_once_and_another_vendor_never_noticed(
    serve: Serve, vendor: Vendor, tmp_path: Path
) -> None:
    settings = {"outbox": "sqlite", "data_folder": str(tmp_path / "data")}
    async with Vendor() as other:
        worker, _, port = await serve(container(tag("down", vendor), tag("up", other)), **settings)
        vendor.fail("/down", Fault(status=500))
        await send(port, 0, 150)
        await eventually(lambda: ids(other, "/up") == Counter(range(150)))
        await eventually(lambda: worker.lanes.pending == 0)
        assert len(worker.outbox) == 150
        assert sum(held.count for held in worker.outbox.holds().values()) == 150
        await asyncio.sleep(1.0)  # some probes, and nothing else, are run while it is down
        assert worker.counters.value("sgtm_records_run_again_total", "handed back") <= 10
        vendor.fail("/down", None)
        await eventually(lambda: is_empty(worker))
        assert ids(vendor, "/down") == Counter(range(150))
        assert ids(other, "/up") == Counter(range(150)), "what is settled is not sent again"
        assert worker.counters.value("sgtm_deliveries_dead_total", "down") == 0


async def test_what_expires_while_it_waits_on_the_disk_is_dead_in_time_though_the_vendor_is_down(
    serve: Serve, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sgtm.delivery.circuit.FIRST_PROBE_S", 60.0)  # no probe reads it by chance
    brief = tag("down", vendor, expires_after_s=2.0)
    worker, _, port = await serve(container(brief), outbox="sqlite", data_folder=str(tmp_path / "data"))
    vendor.fail("/down", Fault(status=500))
    await send(port, 0, 40)
    await eventually(lambda: sum(held.count for held in worker.outbox.holds().values()) == 40)
    await eventually(lambda: is_empty(worker))
    assert worker.counters.value("sgtm_deliveries_dead_total", "down") == 40
    assert ids(vendor, "/down") == Counter()


async def test_a_restart_in_the_middle_of_an_outage_loses_nothing(
    serve: Serve, vendor: Vendor, tmp_path: Path
) -> None:
    settings = {"outbox": "sqlite", "data_folder": str(tmp_path / "data"), "drain_timeout_s": 0.3}
    vendor.fail("/down", Fault(status=500))
    first, _, port = await serve(container(tag("down", vendor)), **settings)
    await send(port, 0, 60)
    await eventually(lambda: bool(first.outbox.holds()))
    await first.drain(0)
    second, _, port = await serve(container(tag("down", vendor)), **settings)
    await send(port, 60, 20)
    await eventually(lambda: second.counters.value("sgtm_records_run_again_total", "left over") == 60)
    vendor.fail("/down", None)
    await eventually(lambda: is_empty(second))
    assert ids(vendor, "/down") == Counter(range(80))


@pytest.mark.parametrize("is_kept", [True, False])
async def test_a_record_runs_again_with_the_version_that_it_met_or_with_today_s(
    serve: Serve, vendor: Vendor, tmp_path: Path, is_kept: bool
) -> None:
    # SPEC: design.md, Delivery: with the container version it names, or today's, counted
    settings = {"outbox": "sqlite", "data_folder": str(tmp_path / "data"), "drain_timeout_s": 0.3}
    vendor.fail("/old", Fault(status=500))
    first, _, port = await serve(container(tag("old", vendor)), **settings)
    if is_kept:
        Versions(tmp_path / "data").keep((tmp_path / "container-0.yaml").read_bytes(), "container.yaml")
    await send(port, 0, 30)
    await eventually(lambda: bool(first.outbox.holds()))
    await first.drain(0)
    vendor.fail("/old", None)
    second, _, _ = await serve(container(tag("new", vendor)), **settings)
    await eventually(lambda: is_empty(second))
    assert ids(vendor, "/old" if is_kept else "/new") == Counter(range(30))
    assert ids(vendor, "/new" if is_kept else "/old") == Counter()
    served_by = "its own" if is_kept else "today's"
    assert second.counters.value("sgtm_records_of_earlier_versions_total", served_by) == 30


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
async def test_a_vendor_that_is_slow_leaves_answers_and_other_vendors_alone(
    serve: Serve, vendor: Vendor, tmp_path: Path, engine: str
) -> None:
    async with Vendor() as other:
        slow = tag("slow", vendor, timeout_s=30.0)
        worker, _, port = await serve(
            container(slow, tag("fast", other)),
            outbox=engine,
            data_folder=str(tmp_path / "data"),
            drain_timeout_s=0.2,
        )
        vendor.fail("/slow", Fault(latency_ms=30_000))
        await send(port, 0, 300)
        await eventually(lambda: ids(other, "/fast") == Counter(range(300)))
        assert vendor.under_way <= 256
        await eventually(lambda: worker.lanes.pending == 300)
