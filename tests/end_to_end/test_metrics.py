"""What two workers count, as Prometheus reads it (SPEC: reliability 6, metrics; R230, R236, R237)."""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from processes import Server, until
from raw_http import RawConnection, ask, request

from sgtm.demo.vendor import Fault, Vendor
from sgtm.observability.names import GAUGES, HISTOGRAMS, METRICS

HIT = "/g/collect?v=2&tid=G-ABC123&cid=1.2&en=page_view&dl=https%3A%2F%2Fshop.example%2F&ep.event_id=e{}"
BROWSER = {"User-Agent": "Mozilla/5.0", "Cookie": "_fbp=fb.1.1700000000000.123; _fbc=fb.1.1700000000000.abc"}
SERIES = re.compile(r"([a-z_]+)(?:\{(.*)\})? ([0-9.e+-]+)")


def shop(vendor: str, http_tags: int, meta_tags: int) -> str:
    """A container of many tags, each with a destination of its own: 127.0.0.1, 127.0.0.2, ..."""
    port = vendor.rpartition(":")[2]
    sends = [
        {
            "name": f"Send {number}",
            "type": "http_request",
            "firing_triggers": ["Views"],
            "parameters": {"url": f"http://127.0.0.{number % 40 + 1}:{port}/send"},
        }
        for number in range(http_tags)
    ]
    meta = [
        {
            "name": f"Meta {number}",
            "type": "meta_conversions",
            "firing_triggers": ["Views"],
            "parameters": {"pixel_id": str(number), "access_token": "${TOKEN}", "endpoint": vendor},
        }
        for number in range(meta_tags)
    ]
    return yaml.safe_dump(
        {
            "sgtm": 1,
            "consent": {"unset": "granted", "gate": "declared"},
            "clients": [{"name": "GA4", "type": "ga4"}],
            "triggers": [{"name": "Views", "type": "custom_event", "event_names": ["page_view"]}],
            "tags": sends + meta,
        }
    )


class Page:
    """The text of /metrics, as series."""

    def __init__(self, text: str) -> None:
        self.text = text
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        self.series = {(name, labels): float(value) for name, labels, value in map(_parts, lines)}

    def names(self, name: str) -> list[str]:
        return [labels for one, labels in self.series if one == name and labels]

    def sum(self, name: str, labels: str = "") -> float:
        return sum(value for (one, of), value in self.series.items() if one == name and labels in of)


def _parts(line: str) -> tuple[str, str, str]:
    match = SERIES.fullmatch(line)
    assert match, line
    return match[1], match[2] or "", match[3]


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor() as running:
        yield running


async def served(tmp_path: Path, container: str, *flags: str) -> Server:
    return await Server.start(
        tmp_path, "--workers", "2", "--egress-allow", "127.0.0.0/8", *flags,
        container=container, environment={"TOKEN": "a-token"},
    )  # fmt: skip


async def page(server: Server) -> Page:
    return Page((await server.admin("GET", "/metrics")).body.decode())


def promtool(text: str) -> tuple[int, str]:
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True)
    return done.returncode, done.stdout + done.stderr


async def test_a_hundred_tags_are_at_most_2000_series_whatever_visitors_send(
    tmp_path: Path, vendor: Vendor
) -> None:
    # SPEC: reliability 6: total series <= 2,000 for 100 tags, tested
    server = await served(tmp_path, shop(vendor.url, 60, 40), "--outbox", "memory", "--hit-requests", "0")
    try:
        async with RawConnection(server.port) as one, RawConnection(server.port) as other:
            for number in range(40):
                hit = HIT.format(number).replace("G-ABC123", f"G-{number:06}")
                if number > 5:
                    hit = hit.replace("page_view", "scroll")
                for connection in (one, other):
                    connection.send(request(hit, headers=BROWSER))
                    await connection.read_answer()
        for path in (f"/g/collect?v=2&tid={'x' * 40}@example.com&cid=1.1&en=a", "/nobody", "/g/collect"):
            await ask(server.port, path)
        await until(lambda: attempts(server, 500))
        said = await page(server)
    finally:
        await server.kill()
    assert said.sum("sgtm_match_keys_total") > 0
    assert len(said.names("sgtm_measurement_id_events_total")) <= 2 * 31
    assert 1000 < len(said.series) <= 2000
    assert promtool(said.text) == (0, "")
    told = set(re.findall(r"^# HELP ([a-z_]+) .", said.text, re.M))
    assert told == {*METRICS, *HISTOGRAMS, *GAUGES}
    counted = {name for name, _ in said.series}
    assert {*METRICS, *(f"{name}_bucket" for name in HISTOGRAMS)} <= counted


async def test_requests_bytes_outcomes_and_times_are_counted_over_both_workers(
    tmp_path: Path, vendor: Vendor
) -> None:
    server = await served(tmp_path, shop(vendor.url, 1, 0), "--outbox", "memory")
    try:
        for number in range(6):
            await ask(server.port, HIT.format(number))
        await ask(server.port, "/nobody")
        await until(lambda: attempts(server, 6))
        vendor.fail("/send", Fault(status=400))
        await ask(server.port, HIT.format(7))
        await vendor.wait_for(7)
        await until(lambda: attempts(server, 7))
        said = await page(server)
        # R230: requests by client and status; every counter is there at 0
        assert said.sum("sgtm_answers_total", 'client="GA4",status="2xx"') == 7
        assert said.sum("sgtm_answers_total", 'client="none",status="4xx"') == 1
        assert said.series["sgtm_answers_total", 'client="GA4",status="5xx"'] == 0
        assert said.sum("sgtm_request_seconds_count", 'client="GA4"') == 7
        # R236: volume per measurement id
        assert said.sum("sgtm_measurement_id_events_total", 'measurement_id="G-ABC123"') == 7
        # R237: requests and bytes per tag, as the vendor saw them
        sent = sum(len(f"{vendor.url}/send") + len(one.body) for one in vendor.requests("/send"))
        assert said.sum("sgtm_vendor_requests_total", 'tag="Send 0"') == 7
        assert said.sum("sgtm_vendor_request_bytes_total", 'tag="Send 0"') == sent
        assert said.sum("sgtm_attempts_total", f'destination="{vendor.url}",outcome="done"') == 6
        assert said.sum("sgtm_attempts_total", f'destination="{vendor.url}",outcome="failed"') == 1
        assert said.sum("sgtm_lane_shut", f'destination="{vendor.url}"') == 0
    finally:
        await server.kill()


async def attempts(server: Server, count: int) -> bool:
    return (await page(server)).sum("sgtm_attempts_total") >= count


async def test_what_a_vendor_is_owed_has_an_age(tmp_path: Path, vendor: Vendor) -> None:
    # SPEC: reliability 6, alerts: oldest queued event per lane; also while its records wait in the outbox
    vendor.fail("/send", Fault(status=503))
    server = await served(tmp_path, shop(vendor.url, 1, 0), "--outbox", "sqlite")
    try:
        for number in range(30):
            await ask(server.port, HIT.format(number))
        await asyncio.sleep(1.0)
        for _ in range(2):  # memory or outbox: it is not forgotten
            said = await page(server)
            assert said.sum("sgtm_lane_oldest_seconds", vendor.url) > 0.9
            await asyncio.sleep(0.3)
    finally:
        await server.kill()
