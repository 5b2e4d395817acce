"""Lines of the log about requests and their deliveries, for all, a share or none of them.

    {"logger": "sgtm.requests", "message": "request", "request": "5f0c...", "client": "GA4", ...}
    {"logger": "sgtm.requests", "message": "delivery", "request": "5f0c...", "tag": "Meta", "attempt": 1, ...}

What the share leaves out is counted, and each line says how many requests were left out before it. They have
neither the level nor the limit of other lines: the share alone decides. SPEC: requirements R227, R228.
"""

import logging

from sgtm.messages import IncomingRequest
from sgtm.observability.exposition import Sample
from sgtm.observability.logs import REQUESTS
from sgtm.observability.trace import ALL, Answered, Try, request_id

log = logging.getLogger(REQUESTS)


class RequestLog:
    """A Tracer that writes lines. `share` may be changed at any time."""

    def __init__(self, share: float = 0.0) -> None:
        self.share = share
        self._left_out = self._since_last = 0

    @property
    def share(self) -> float:
        """Of the requests that are logged: 0 none, 1 all."""
        return self._below / ALL

    @share.setter
    def share(self, share: float) -> None:
        self._below = int(share * ALL)

    def begin(self, request: IncomingRequest, *, is_again: bool = False) -> "LoggedRequest | None":
        """See Tracer."""
        if not self._below:
            return None
        if request.seed >= self._below:
            if not is_again:
                self._left_out += 1
                self._since_last += 1
            return None
        left_out, self._since_last = self._since_last, 0
        return LoggedRequest(request_id(request), is_again, left_out)

    def samples(self) -> list[Sample]:
        """Requests that the share left out."""
        return [Sample("sgtm_log_lines_left_out_total", "sampled", self._left_out)]


class LoggedRequest:
    """See Trace."""

    def __init__(self, identity: str, is_again: bool, left_out: int) -> None:
        self.identity, self._is_again, self._left_out = identity, is_again, left_out

    def tag(self, name: str, event: str) -> "LoggedTag":
        """See Trace."""
        return LoggedTag(self.identity, name, event)

    def answered(self, answered: Answered) -> None:
        """See Trace."""
        extra = {
            "request": self.identity,
            "method": answered.method,
            "path": answered.path,
            "client": answered.client,
            "events": list(answered.events),
            "status": answered.status,
            "duration_ms": round(answered.took_s * 1000, 3),
        }
        if self._is_again:
            extra["again"] = True
        if self._left_out:
            extra["left_out"] = self._left_out
        log.info("request", extra=extra)


class LoggedTag:
    """See TagTrace."""

    def __init__(self, identity: str, tag: str, event: str) -> None:
        self._who = {"request": identity, "event": event, "tag": tag}

    def built(self, requests: int, failure: str = "") -> None:
        """See TagTrace: what is sent has lines of its own, a failure and silence have this one."""
        if failure or not requests:
            log.info("tag sends nothing", extra={**self._who, "reason": failure or "it built no request"})

    def tried(self, tried: Try) -> None:
        """See TagTrace."""
        extra = {
            **self._who,
            "destination": tried.destination,
            "status": tried.status,
            "duration_ms": round(tried.took_micros / 1000, 3),
            "attempt": tried.number,
            "outcome": tried.outcome,
        }
        if tried.error:
            extra["error"] = tried.error
        log.info("delivery", extra=extra)
