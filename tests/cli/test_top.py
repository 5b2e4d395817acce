"""`sgtm top`: rates and times between two looks, and a frame that fits a terminal (SPEC: R235)."""

import asyncio
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from processes import ROOT, TWO_VENDORS, Server, until
from raw_http import ask

from sgtm.cli._interval import Interval
from sgtm.cli._top_view import duration, frame, size
from sgtm.demo.vendor import Fault, Vendor
from sgtm.observability.exposition import Sample
from sgtm.observability.metrics import Counters
from sgtm.server.admin_health import Overview
from sgtm.server.crew import Destination
from sgtm.server.questions import WorkerHealth


def overview(at_s: float, *samples: tuple[str, str, float], **parts: Any) -> Overview:
    return Overview(at_s, "1.0", "v1", samples=[Sample(*one) for one in samples], **parts)


# -- what happened in between -----------------------------------------------------------------------


def test_a_rate_is_the_growth_over_the_time_and_a_counter_may_begin_anew() -> None:
    before = overview(10.0, ("sgtm_answers_total", "GA4/2xx", 100), ("sgtm_answers_total", "GA4/5xx", 50))
    after = overview(12.0, ("sgtm_answers_total", "GA4/2xx", 140), ("sgtm_answers_total", "GA4/5xx", 6))
    between = Interval(before, after)
    assert between.rate("sgtm_answers_total", "GA4/2xx") == 20
    assert between.rate("sgtm_answers_total", ends="/5xx") == 3
    assert between.rate("sgtm_answers_total") == 23
    assert between.rate("sgtm_events_total") == 0


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 0.05), (0.75, 0.075), (0.95, float("inf")), (0.05, 0.0225)]
)
def test_a_quantile_is_what_prometheus_reckons(share: float, expected: float) -> None:
    # https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile: linear in a bucket
    counters = Counters()
    for seconds in (*[0.03] * 60, *[0.09] * 30, *[20.0] * 10):
        counters.observe("sgtm_request_seconds", seconds, "a/b")
    before, after = overview(0.0), overview(1.0)
    after.samples = list(counters.histogram_samples())
    between = Interval(before, after)
    found = between.quantile_s(share, "sgtm_request_seconds", "a/b")
    bounds = {0.5: 0.02 + 0.03 * 50 / 60, 0.75: 0.05 + 0.05 * 15 / 30, 0.05: 0.02 + 0.03 * 5 / 60}
    assert found == pytest.approx(bounds.get(share, expected))
    assert between.quantile_s(share, "sgtm_request_seconds") == found
    assert between.quantile_s(share, "sgtm_request_seconds", "another") is None


# -- how it looks -----------------------------------------------------------------------------------

HOSTILE = "\x1b[2J\u202ehttp://127.0.0.1:1"


def shown(width: int = 120, height: int = 0, *, colored: bool = False) -> list[str]:
    lane = Destination(HOSTILE, "TOKEN", "shut", "", 1.0, 5, 2, 900.0, 10, 10, f"HTTP 503 {HOSTILE}", 3.0)
    worker = WorkerHealth(0, 42, is_ready=False, because=["outbox full"], container=HOSTILE, connections=7)
    samples = [("sgtm_tags_fired_total", f"Tag {number} {HOSTILE}", number) for number in range(20)]
    after = overview(1.0, *samples, workers=[worker], missing=1, destinations=[lane])  # type: ignore[arg-type]
    return frame(Interval(overview(0.0), after), width, height, colored=colored)


def test_what_is_wrong_is_seen() -> None:
    text = "\n".join(shown())
    assert "0 of 2 workers ready" in text
    assert "not ready: outbox full" in text
    assert "1 do not answer" in text
    (row,) = [line for line in shown() if "TOKEN" in line]
    assert row.split()[-8:] == ["shut", "10", "50%", "-", "5", "2", "15", "min"]
    assert any("HTTP 503" in line and "3.0 s ago" in line for line in shown())
    assert "and 12 tags more" in text


@pytest.mark.parametrize("colored", [False, True])
def test_nothing_that_was_sent_steers_the_terminal(colored: bool) -> None:
    # SPEC: reliability 5 rule 7
    text = "".join(shown(colored=colored))
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
    assert ("\x1b" in text) == colored


def test_a_frame_fits_its_terminal() -> None:
    lines = shown(80, 10)
    assert len(lines) == 10
    assert max(map(len, lines)) <= 80
    assert all(line.count("\x1b[0m") >= line.count("\x1b[31m") for line in shown(80, colored=True))


def test_numbers_are_easy_to_read() -> None:
    assert [duration(s) for s in (0.0, 9.94, 75, 1260, 14_400, 400_000)] == [
        "0.0 s",
        "9.9 s",
        "75 s",
        "21 min",
        "4.0 h",
        "4.6 d",
    ]
    assert [size(n) for n in (0, 999, 1500, 253_700, 3e9)] == ["0 B", "999 B", "1.5 KB", "254 KB", "3.0 GB"]


# -- a real server of two workers -------------------------------------------------------------------


async def test_it_shows_all_workers_vendors_and_their_errors(tmp_path: Path, vendor: Vendor) -> None:
    async with Vendor() as broken:
        broken.fail("/", Fault(status=503))
        container = TWO_VENDORS.replace("VENDOR/a", f"{vendor.url}/a").replace("VENDOR/b", f"{broken.url}/b")
        flags = ("--workers", "2", "--egress-allow", "127.0.0.1", "--outbox", "memory")
        server = await Server.start(tmp_path, *flags, container=container)
        try:
            await until(lambda: is_shut(server))
            done = await asyncio.to_thread(run_top, tmp_path, "--once", "--interval-s", "0.2")
            assert done[0] == 0, done
            for what in ("2 of 2 workers ready", f"{vendor.url} ", "shut", "HTTP 503", "slot 1"):
                assert what in done[1]
            assert "\x1b" not in done[1]
            await asyncio.to_thread(in_a_terminal, tmp_path)
        finally:
            await server.kill()
    status, said = await asyncio.to_thread(run_top, tmp_path, "--once")
    assert (status, "is the server running?" in said) == (2, True)


async def is_shut(server: Server) -> bool:
    """Whether /destinations says so; /live and /ready do not care (R233: each its own endpoint)."""
    await ask(server.port, "/data?event_name=x")
    answer = await server.admin("GET", "/destinations")
    if answer.status == 200:
        return False
    lanes = answer.json()["destinations"]
    assert [lane["last_error"] for lane in lanes if lane["state"] == "shut"] == ["HTTP 503"]
    assert [(await server.admin("GET", path)).status for path in ("/live", "/ready")] == [200, 200]
    return True


def command(tmp_path: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "sgtm", "top", "--data-folder", str(tmp_path / "data"), *words]


def run_top(tmp_path: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(command(tmp_path, *words), cwd=ROOT, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout + done.stderr


def in_a_terminal(tmp_path: Path) -> None:
    """It takes a screen of its own, shows frame after frame, and gives the screen back at a key."""
    terminal, its_end = pty.openpty()
    size_of_it = {"COLUMNS": "100", "LINES": "30"}
    process = subprocess.Popen(
        command(tmp_path, "--interval-s", "0.2"),
        cwd=ROOT,
        env={**os.environ, **size_of_it},
        stdin=its_end,
        stdout=its_end,
    )
    os.close(its_end)
    said = ""
    deadline = time.monotonic() + 20
    is_asked = False
    while time.monotonic() < deadline and select.select([terminal], [], [], 20)[0]:
        try:
            said += os.read(terminal, 65_536).decode()
        except OSError:  # it is gone
            break
        if not is_asked and said.count("workers ready") >= 2:
            is_asked = bool(os.write(terminal, b"q"))
    if not is_asked:
        process.kill()
    os.close(terminal)
    assert (is_asked, process.wait(20)) == (True, 0), said[-500:]
    assert said.startswith("\x1b[?1049h")
    assert said.endswith("\x1b[?25h\x1b[?1049l")
    assert "HTTP 503" in said
