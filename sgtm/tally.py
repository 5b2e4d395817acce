"""What is counted of every request and event, in one place: answers, their time, events by measurement id."""

import logging
import re
from collections.abc import Callable
from functools import lru_cache

from sgtm.delivery.letter import now_micros
from sgtm.event import Event
from sgtm.event_run import harmless
from sgtm.hit import Hit, Run
from sgtm.messages import Answer, IncomingRequest
from sgtm.observability.metrics import OTHERS, Counters
from sgtm.observability.trace import Answered, Trace, Tracers, request_id

NOBODY = "none"
"""The client, where metrics name one, of a request that none claimed."""

log = logging.getLogger("sgtm.pipeline")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
MOST_NAMES = 25
"""Of events that are told of one request."""
_MEASUREMENT_ID = re.compile(r"[A-Z]{1,4}-[A-Z0-9]{1,16}")


class Tally:
    """Of one pipeline."""

    def __init__(
        self, counters: Counters, tracers: Tracers | None = None, clock: Callable[[], int] = now_micros
    ) -> None:
        self._counters, self._tracers, self._clock = counters, tracers, clock

    def begins(self, request: IncomingRequest, *, is_again: bool = False) -> Trace | None:
        """A request begins; its trace, if it is chosen for one."""
        return None if self._tracers is None else self._tracers.begin(request, is_again=is_again)

    def answered(self, answer: Answer, of: Run | Hit, client: str = NOBODY) -> Answer:
        """The same answer, which leaves now; whoever looks at its request is told."""
        self._counters.add("sgtm_answers_total", f"{client}/{answer.status // 100}xx")
        seconds = (self._clock() - of.request.received_micros) / 1_000_000
        if seconds < 0:  # somebody has set the clock
            seconds = 0.0
        if client is not NOBODY:
            self._counters.observe("sgtm_request_seconds", seconds, client)
        if of.trace is not None or answer.status >= 500:
            self._tell(answer.status, of, client, seconds)
        if of.walk is not None:
            of.walk.answer = answer
            of.walk.reached("answer")
        return answer

    def made(self, event: Event) -> None:
        """A client made this event. Whoever sent it chose its measurement id: what is none is `others`."""
        self._counters.add("sgtm_events_total", event.client_name)
        named = event.data.get("x-ga-measurement_id")
        if isinstance(named, str):
            self._counters.add("sgtm_measurement_id_events_total", _harmless_id(named))

    def ran_again(self, run: Run) -> None:
        """The tags of a record have run again; nobody is answered."""
        if run.trace is not None:
            run.trace.answered(Answered(harmless_method(run.request), "", NOBODY, (), 0, 0.0))

    def _tell(self, status: int, of: Run | Hit, client: str, seconds: float) -> None:
        """What logs and traces hear: names that are names, a path that the container has. An answer that is
        our fault always has a line (SPEC: R228)."""
        request = of.request
        method = harmless_method(request)
        if of.trace is not None:
            path = request.path if request.path in of.container.candidates else ""
            data = of.claimed.events[:MOST_NAMES] if isinstance(of, Hit) else []
            events = [harmless(str(one.get("event_name", ""))) for one in data]
            of.trace.answered(Answered(method, path, client, events, status, seconds))
        if status >= 500:
            extra = {"request": request_id(request), "method": method, "client": client, "status": status}
            log.error("answered with an error", extra={**extra, "duration_ms": round(seconds * 1000, 3)})


@lru_cache(maxsize=1024)
def _harmless_id(named: str) -> str:
    """PERF: a site has few."""
    return named if _MEASUREMENT_ID.fullmatch(named) is not None else OTHERS


def harmless_method(request: IncomingRequest) -> str:
    """The method if it is one that HTTP knows: a requester may write anything there."""
    return request.method if request.method in METHODS else "_OTHER"
