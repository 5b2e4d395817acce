"""Questions of balancers, orchestrators and crawlers: no clients, no tags, no log noise.

SPEC: requirements R51, R333; reliability 6 (probes). /live, /healthy, /healthz and /health say that
the event loop turns. /ready, /readyz and /startup say whether new requests should be sent here: a vendor's
failure never makes a worker not ready, else all workers would leave at once.
"""

from collections.abc import Callable

import msgspec

from sgtm.answers import NO_STORE
from sgtm.messages import Answer

_TEXT = ("Content-Type", "text/plain")
_JSON = ("Content-Type", "application/json")

_OK = Answer(200, (_TEXT, NO_STORE), b"ok")
_ROBOTS = Answer(200, (_TEXT, ("Cache-Control", "max-age=86400")), b"User-agent: *\nDisallow: /\n")
_NO_ICON = Answer(204, (("Cache-Control", "max-age=86400"),))


class Health:
    """What this worker says about itself. `accepts` tells whether the outbox takes records."""

    def __init__(self, accepts: Callable[[], bool]) -> None:
        self.is_loaded = False
        self.is_draining = False
        self._accepts = accepts
        self._paths: dict[str, Callable[[], Answer]] = {
            "/live": lambda: _OK,
            "/healthy": lambda: _OK,
            "/healthz": lambda: _OK,
            "/health": lambda: _OK,
            "/readyz": self.readiness,
            "/ready": self.readiness,
            "/startup": self.readiness,
            "/robots.txt": lambda: _ROBOTS,
            "/favicon.ico": lambda: _NO_ICON,
        }

    def answer(self, path: str) -> Answer | None:
        """The answer, or None where the path is none of ours."""
        make = self._paths.get(path)
        return make() if make is not None else None

    def readiness(self) -> Answer:
        """200 or 503, and why not; no detail that an outsider could use."""
        reasons = [
            reason
            for is_true, reason in (
                (not self.is_loaded, "container not loaded"),
                (self.is_draining, "draining"),
                (not self._accepts(), "outbox full"),
            )
            if is_true
        ]
        body = msgspec.json.encode({"ready": not reasons, "because": reasons})
        return Answer(503 if reasons else 200, (_JSON, NO_STORE), body)
