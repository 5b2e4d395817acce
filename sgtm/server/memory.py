"""What is given up, and in which order, when memory runs short.

    below soft  everything is served
    soft        idle connections are closed, caches and free pages given back; then only hits of
                browsers are taken, all else is answered 503
    hard        nothing is taken: every request is answered 503, and the worker is not ready

Connections are accepted all the while, else probes would find the worker dead; above normal each ends
with its answer. A hit cannot be had again; senders of webhooks try again, and pages have a fallback for
scripts: so hits go last. A level is left some way below where it is entered, so that it does not flutter.

SPEC: requirement R240; reliability 2.4 (memory: soft 80 %, hard 90 %) and 6 (memory and GC).
"""

import asyncio
import ctypes
import gc
import logging
import resource
from collections.abc import Callable
from pathlib import Path

from sgtm.observability.metrics import Counters
from sgtm.settings import Settings

log = logging.getLogger("sgtm.server")

INTERVAL_S = 0.5
"""How often the resident memory is read: 0.02 ms each."""
HYSTERESIS = 0.05
"""A level is left when memory is this share of the limit below where the level begins."""
NORMAL, SOFT, HARD = range(3)
LEVELS = ("normal", "soft", "hard")

_PAGE = resource.getpagesize()
_UNLIMITED = 1 << 60
"""What stands in cgroup v1 where there is no limit is larger."""


class MemoryGuard:
    """Measures the process and says how much is still taken.

    `give_back` frees what can be had again; it is called when soft is entered, before anything is refused.
    """

    def __init__(
        self,
        limit_bytes: int,
        settings: Settings,
        counters: Counters,
        give_back: Callable[[], None] = lambda: None,
        measure: Callable[[], int] | None = None,
    ) -> None:
        self.level = NORMAL
        self._counters, self._give_back, self._measure = counters, give_back, measure or resident_bytes
        self._limit_bytes = limit_bytes
        shares = (settings.memory_soft_percent / 100, settings.memory_hard_percent / 100)
        self._enter = [0.0, *(limit_bytes * share for share in shares)]
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Measure from now on; without a limit there is nothing to do."""
        if self._limit_bytes:
            self._next()

    def stop(self) -> None:
        """The end of measuring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> None:
        self.look()
        self._timer = asyncio.get_running_loop().call_later(INTERVAL_S, self._next)

    def look(self) -> None:
        """Measure once and change the level if need be."""
        level = self._level_at(self._measure())
        if level > self.level == NORMAL:
            self._give_back()
            free_pages()
            self._counters.add("sgtm_memory_given_back_total")
            level = self._level_at(self._measure())
        if level != self.level:
            self._change(level)

    def _level_at(self, used_bytes: int) -> int:
        entered = max(level for level in range(3) if used_bytes >= self._enter[level])
        if entered >= self.level:
            return entered
        is_well_below = used_bytes < self._enter[self.level] - HYSTERESIS * self._limit_bytes
        return entered if is_well_below else self.level

    def _change(self, level: int) -> None:
        if level > self.level:
            self._counters.add("sgtm_memory_levels_total", LEVELS[level])
        log.log(
            logging.INFO if level == NORMAL else logging.WARNING,
            "memory level",
            extra={"level": LEVELS[level], "before": LEVELS[self.level], "limit_bytes": self._limit_bytes},
        )
        self.level = level


def free_pages() -> None:
    """Give freed memory back to the system: glibc keeps it after a burst, and a level would never end."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; musl has none
    if trim is not None:
        trim(0)


def resident_bytes() -> int:
    """Memory of this process that is in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def limit_of(settings: Settings, root: Path = Path("/")) -> int:
    """Bytes that a worker may take; 0: no limit. What is not set is its share of what the cgroup allows."""
    return settings.memory_bytes or cgroup_limit(root) // settings.workers


def cgroup_limit(root: Path = Path("/")) -> int:
    """The lowest limit of this process's cgroup and those above it; 0 where there is none."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return 0
    groups = (line.split(":", 2)[1:] for line in lines)
    limits = (limit for group in groups for limit in _limits_of(root / "sys/fs/cgroup", *group))
    return min(limits, default=0)


def _limits_of(mount: Path, controllers: str, path: str) -> list[int]:
    """Limits along one line of /proc/self/cgroup: version 2 names no controllers. Inside a container the
    path is the host's, and what is mounted here is the container's own group: so both are looked at."""
    if controllers and "memory" not in controllers.split(","):
        return []
    top, name = (mount / "memory", "memory.limit_in_bytes") if controllers else (mount, "memory.max")
    inner = top / path.strip("/")
    folders = [top, *(folder for folder in (inner, *inner.parents) if top in folder.parents)]
    return [limit for folder in folders if (limit := _read_limit(folder / name))]


def _read_limit(file: Path) -> int:
    try:
        text = file.read_text().strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() and int(text) < _UNLIMITED else 0
