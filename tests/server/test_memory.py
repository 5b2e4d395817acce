"""What is given up when memory runs short, in which order: SPEC R240, reliability 2.4 and 6."""

import gzip
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Serve, Served
from containers import client, container, echo
from raw_http import RawConnection, ask, request

from sgtm.observability.metrics import Counters
from sgtm.server.memory import HARD, NORMAL, SOFT, MemoryGuard, cgroup_limit, limit_of, resident_bytes
from sgtm.server.script_cache import Copy
from sgtm.settings import Settings

ECHO = container([client(echo, paths=("/g/collect", "/hook"))])


class Used:
    """Memory that a test says is used, in percent of a limit of 1,000 bytes."""

    def __init__(self, percent: int = 0) -> None:
        self.percent = percent

    def __call__(self) -> int:
        return self.percent * 10


def guard(used: Used, give_back: Callable[[], None] = lambda: None, **changes: int) -> MemoryGuard:
    return MemoryGuard(1000, Settings(**changes), Counters(), give_back, used)


def levels(guarded: MemoryGuard, used: Used, *percents: int) -> list[int]:
    seen = []
    for used.percent in percents:
        guarded.look()
        seen.append(guarded.level)
    return seen


# -- levels --------------------------------------------------------------------------------------


def test_levels_begin_at_80_and_90_percent_and_end_5_percent_below() -> None:
    used = Used()
    seen = levels(guard(used), used, 79, 80, 76, 75, 74, 80, 89, 90, 86, 84, 90, 70)
    assert seen == [NORMAL, SOFT, SOFT, SOFT, NORMAL, SOFT, SOFT, HARD, HARD, SOFT, HARD, NORMAL]


def test_levels_can_be_set() -> None:
    used = Used()
    guarded = guard(used, memory_soft_percent=50, memory_hard_percent=60)
    assert levels(guarded, used, 49, 50, 60) == [NORMAL, SOFT, HARD]


def test_what_can_be_had_again_goes_before_anything_is_refused() -> None:
    used = Used(85)

    def give_back() -> None:
        used.percent = 60

    guarded = guard(used, give_back)
    guarded.look()
    assert guarded.level == NORMAL
    assert guarded._counters.value("sgtm_memory_given_back_total") == 1
    assert guarded._counters.value("sgtm_memory_levels_total", "soft") == 0


def test_each_step_is_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    used = Used()
    guarded = guard(used)
    with caplog.at_level(logging.INFO, logger="sgtm.server"):
        levels(guarded, used, 85, 85, 95, 95, 10, 10)
    counted = [guarded._counters.value("sgtm_memory_levels_total", level) for level in ("soft", "hard")]
    assert counted == [1, 1]
    said = [(record.levelname, record.level) for record in caplog.records]
    assert said == [("WARNING", "soft"), ("WARNING", "hard"), ("INFO", "normal")]


def test_the_process_knows_its_own_size() -> None:
    before = resident_bytes()
    held = bytearray(32 * 1024**2)
    held[::4096] = b"x" * len(held[::4096])
    assert resident_bytes() - before > 24 * 1024**2
    del held


# -- what the cgroup allows ----------------------------------------------------------------------


def _files(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, 0),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "536870912\n"}, 536_870_912),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 0),
        (  # systemd: a slice above is tighter
            {
                "proc/self/cgroup": "0::/system.slice/sgtm.service\n",
                "sys/fs/cgroup/system.slice/sgtm.service/memory.max": "max\n",
                "sys/fs/cgroup/system.slice/memory.max": "1000000\n",
            },
            1_000_000,
        ),
        (  # Docker: the path is the host's, the mount is our own group
            {"proc/self/cgroup": "0::/docker/abc\n", "sys/fs/cgroup/memory.max": "2000000\n"},
            2_000_000,
        ),
        (
            {
                "proc/self/cgroup": "7:cpu:/x\n5:memory:/x\n",
                "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "3000000\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            3_000_000,
        ),
        ({"proc/self/cgroup": "0::/../..\n", "sys/fs/cgroup/memory.max": "garbage\n"}, 0),
    ],
)
def test_the_limit_of_the_cgroup_is_found(files: dict[str, str], limit: int, tmp_path: Path) -> None:
    assert cgroup_limit(_files(tmp_path, files)) == limit


def test_workers_share_what_the_cgroup_allows_and_a_setting_wins(tmp_path: Path) -> None:
    root = _files(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "4000\n"})
    assert limit_of(Settings(workers=4), root) == 1000
    assert limit_of(Settings(memory_bytes=77), root) == 77


# -- over the wire -------------------------------------------------------------------------------


async def _serve_at(serve: Serve) -> tuple[Served, Used]:
    served, used = await serve(ECHO), Used()
    memory = served.worker._memory
    memory._limit_bytes, memory._enter, memory._measure = 1000, [0.0, 800.0, 900.0], used
    return served, used


def _be(served: Served, used: Used, percent: int) -> None:
    used.percent = percent
    served.worker._memory.look()


async def test_hits_of_browsers_are_the_last_to_be_refused(serve: Serve) -> None:
    served, used = await _serve_at(serve)
    for percent, hit, other, ready in ((10, 200, 200, 200), (85, 200, 503, 200), (95, 503, 503, 503)):
        _be(served, used, percent)
        assert (await ask(served.port, "/g/collect")).status == hit
        refused = await ask(served.port, "/hook")
        assert refused.status == other
        assert (await ask(served.port, "/ready")).status == ready
        assert (await ask(served.port, "/live")).status == 200
    assert (refused.body, refused.header("Retry-After")) == (b"short of memory\n", "5")
    assert served.worker.counters.value("sgtm_requests_refused_total", "short of memory") == 3
    assert "short of memory" in (await ask(served.port, "/ready")).json()["because"]
    _be(served, used, 10)
    assert [(await ask(served.port, path)).status for path in ("/hook", "/ready")] == [200, 200]


async def test_idle_connections_and_copies_go_first(serve: Serve) -> None:
    served, used = await _serve_at(serve)
    body = gzip.compress(b"x")
    served.worker.scripts.copies.put(Copy("k", body, body, "text/javascript", "", 1.0))
    async with RawConnection(served.port) as idle, RawConnection(served.port) as busy:
        idle.send(request("/hook"))
        await idle.read_answer()
        busy.send(b"POST /g/collect HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
        while not served.worker._reception.under_way:
            await ask(served.port, "/live")
        _be(served, used, 85)
        assert await idle.is_closed()
        busy.send(b"b")
        answer = await busy.read_answer()
        assert (answer.status, answer.header("Connection")) == (200, "close")
    assert served.worker.counters.value("sgtm_connections_closed_total", "memory") >= 1
    assert len(served.worker.scripts.copies) == 0


async def test_without_a_limit_nothing_is_measured(serve: Serve) -> None:
    served = await serve(ECHO, memory_bytes=1 << 50)
    assert served.worker._memory._timer is not None
    assert MemoryGuard(0, Settings(), Counters())._timer is None
    unlimited = MemoryGuard(0, Settings(), Counters())
    unlimited.start()
    assert unlimited._timer is None
