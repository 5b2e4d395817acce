"""`sgtm loadtest`: a rate, times from the moment a hit was due, thresholds (SPEC: requirements R245)."""

import asyncio
from pathlib import Path

import pytest

from sgtm.cli import main
from sgtm.cli._load import Measured, load, quantile
from sgtm.demo.vendor import Fault, Vendor
from sgtm.dry_run import PLAIN_REQUEST


def test_a_server_of_somebody_else_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["https://shop.example"], ["http://192.0.2.1"], ["http://localhost.example:80"]):
        assert main(["loadtest", *words]) == 2
        assert "--i-own-this-server" in capsys.readouterr().err
    assert main(["loadtest", "http://127.0.0.1:1", "--rate", "1e9"]) == 2
    assert main(["loadtest", "127.0.0.1"]) == 2


async def test_the_status_says_whether_thresholds_were_kept(
    vendor: Vendor, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    async def loadtest(*words: str) -> tuple[int, str]:
        told = ["loadtest", vendor.url, "--rate", "100", "--seconds", "0.4", *words]
        status = await asyncio.to_thread(main, [*told, "--p95-ms", "9000", "--p99-ms", "9000"])
        return status, capsys.readouterr().out

    status, said = await loadtest()
    assert (status, "within all thresholds" in said, "errors 0.00%" in said) == (0, True, True), said
    queries = [one.query for one in vendor.requests("/g/collect")]
    assert len(queries) > 5
    assert len({str(query) for query in queries}) == len(queries)  # no two hits are the same event
    vendor.fail("/", Fault(status=503))
    status, said = await loadtest()
    assert (status, "FAILED: 100.00% are errors" in said, "HTTP 503" in said) == (1, True, True), said
    vendor.fail("/", None)
    file = tmp_path / "order.http"
    file.write_text("# an order\nPOST /orders HTTP/1.1\nContent-Length: 9\n\nsomething")
    status, said = await loadtest("--file", str(file))
    assert status == 0, said
    assert {one.body for one in vendor.requests("/orders")} == {b"something"}


async def test_a_time_counts_from_when_the_hit_was_due_and_not_from_when_it_was_sent(vendor: Vendor) -> None:
    # one connection, 100 ms an answer, 50 hits a second: the last of them waits for all before it
    vendor.fail("/", Fault(latency_ms=100.0))
    measured = await load(vendor.url, lambda _: PLAIN_REQUEST, 50.0, 0.4, 1)
    assert len(measured.latencies_ms) > 3
    assert max(measured.latencies_ms) > 90 * len(measured.latencies_ms) - 400 - 50
    assert max(measured.latencies_ms) > 2.5 * min(measured.latencies_ms)


def test_quantiles_and_shares() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([3.0, 1.0, 2.0], 0.99) == 3.0
    assert quantile([], 0.5) == float("inf")
    measured = Measured([1.0, 1.0, 1.0])
    measured.errors["x"] += 1
    assert (measured.sent, measured.error_share) == (4, 0.25)
