"""Questions of balancers, orchestrators and crawlers: no clients, no tags, no log noise.

SPEC: requirements R51, R333; reliability 6 (probes). /live, /healthy, /healthz and /health say that
the event loop turned within the last 5 seconds, and what else a worker cannot live without. /ready,
/readyz and /startup say whether new requests should be sent here: a vendor's failure never makes a
worker not ready, else all workers would leave at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

from sgtm.answers import NO_STORE
from sgtm.messages import Answer

_TEXT = ("Content-Type", "text/plain")
_JSON = ("Content-Type", "application/json")

_OK = Answer(200, (_TEXT, NO_STORE), b"ok")
_DEAD = Answer(503, (_TEXT, NO_STORE), b"not live")
_ROBOTS = Answer(200, (_TEXT, ("Cache-Control", "max-age=86400")), b"User-agent: *\nDisallow: /\n")
_NO_ICON = Answer(204, (("Cache-Control", "max-age=86400"),))


BEAT_S = 1.0
LAGS = 60
DEAD_S = 5.0
"""SPEC: reliability 6: the event loop turned in the last 5 s."""


class Health:
    """What this worker says about itself.

    Whoever owns a part adds its own words: `live_checks` and `ready_checks` are what is wrong when the
    function beside it says False. A failing live check restarts the worker, so it is for what only
    that can mend (a dead writer thread); a failing ready check sends new requests elsewhere.
    """

    def __init__(self) -> None:
        self.is_loaded = False
        self.is_draining = False
        self.live_checks: dict[str, Callable[[], bool]] = {"event loop": self._turned}
        self.ready_checks: dict[str, Callable[[], bool]] = {
            "container not loaded": lambda: self.is_loaded,
            "draining": lambda: not self.is_draining,
        }
        self._beat: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._lags_s: deque[float] = deque(maxlen=LAGS)
        self._paths: dict[str, Callable[[], Answer]] = {
            "/live": self.liveness,
            "/healthy": self.liveness,
            "/healthz": self.liveness,
            "/health": self.liveness,
            "/readyz": self.readiness,
            "/ready": self.readiness,
            "/startup": self.readiness,
            "/robots.txt": lambda: _ROBOTS,
            "/favicon.ico": lambda: _NO_ICON,
        }

    def start(self) -> None:
        """All is loaded: the event loop's beat is taken from now on."""
        self.is_loaded = True
        self._next_beat()

    def stop(self) -> None:
        """The end of the beat."""
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None

    @property
    def lag_s(self) -> float:
        """The latest that a beat came too late in the last minute, in seconds: the same for all who ask."""
        return max(self._lags_s, default=0.0)

    def _next_beat(self) -> None:
        loop = asyncio.get_running_loop()
        if self._beat is not None:
            self._lags_s.append(max(0.0, loop.time() - self._due_s))
        self._due_s = loop.time() + BEAT_S
        self._beat = loop.call_at(self._due_s, self._next_beat)

    def _turned(self) -> bool:
        return self._beat is None or asyncio.get_running_loop().time() - self._due_s < DEAD_S

    def answer(self, path: str) -> Answer | None:
        """The answer, or None where the path is none of ours."""
        make = self._paths.get(path)
        return make() if make is not None else None

    def is_live(self) -> bool:
        """Whether nothing is wrong that only a restart mends."""
        return all(is_well() for is_well in self.live_checks.values())

    def not_ready(self) -> list[str]:
        """Why new requests should go elsewhere; empty: they need not."""
        return [reason for reason, is_well in self.ready_checks.items() if not is_well()]

    def liveness(self) -> Answer:
        """200, or 503 where only a restart helps."""
        return _OK if self.is_live() else _DEAD

    def readiness(self) -> Answer:
        """200 or 503, and why not; no detail that an outsider could use."""
        reasons = self.not_ready()
        body = msgspec.json.encode({"ready": not reasons, "because": reasons})
        return Answer(503 if reasons else 200, (_JSON, NO_STORE), body)
