"""What is counted of every request and event, in one place: answers, their time, events by measurement id."""

import re
from collections.abc import Callable

from sgtm.delivery.letter import now_micros
from sgtm.event import Event
from sgtm.hit import Hit, Run
from sgtm.messages import Answer
from sgtm.observability.metrics import OTHERS, Counters

NOBODY = "none"
"""The client, where metrics name one, of a request that none claimed."""

_MEASUREMENT_ID = re.compile(r"[A-Z]{1,4}-[A-Z0-9]{1,16}")


class Tally:
    """Of one pipeline."""

    def __init__(self, counters: Counters, clock: Callable[[], int] = now_micros) -> None:
        self._counters, self._clock = counters, clock

    def answered(self, answer: Answer, of: Run | Hit, client: str = NOBODY) -> Answer:
        """The same answer, which leaves now; whoever looks at its request is told."""
        self._counters.add("sgtm_answers_total", f"{client}/{answer.status // 100}xx")
        if client is not NOBODY:
            seconds = max(0, self._clock() - of.request.received_micros) / 1_000_000
            self._counters.observe("sgtm_request_seconds", seconds, client)
        if of.walk is not None:
            of.walk.answer = answer
            of.walk.reached("answer")
        return answer

    def made(self, event: Event) -> None:
        """A client made this event. Whoever sent it chose its measurement id: what is none is `others`."""
        self._counters.add("sgtm_events_total", event.client_name)
        named = event.data.get("x-ga-measurement_id")
        if isinstance(named, str):
            is_id = _MEASUREMENT_ID.fullmatch(named) is not None
            self._counters.add("sgtm_measurement_id_events_total", named if is_id else OTHERS)
