"""A client's run: it claims at once or not at all, hands over events, and answers when its code says so.

Its own requests come first: its events run when they are answered. What it does when the tags have run
(`runContainer`'s callbacks) is a part of the same run. SPEC: sandbox-api 1.1 to 1.3, 1.6.
"""

from collections.abc import Callable
from typing import Any

from sgtm.messages import Answer, Claimed, Continuation, EventData
from sgtm.templates.code import Code
from sgtm.templates.host import Host, RunContainer
from sgtm.templates.running import TemplateFailed, TemplateRun
from sgtm.templates.surroundings import Surroundings


class ClientRun(TemplateRun, Continuation):
    """See above."""

    def __init__(self, code: Code, surroundings: Surroundings, host: Host) -> None:
        super().__init__(code, surroundings, host, lambda run: self.claimed())
        self._taken = 0
        """Events that the corridor has."""
        self._running: list[RunContainer] = []
        self._has_claimed = False

    def claimed(self) -> Claimed:
        """What it says about the request. Raises TemplateFailed."""
        if self.failure:
            raise TemplateFailed(self.failure)
        self._has_claimed = True
        answer = self.answer
        has_more = bool(self.host.events) or answer is None
        return Claimed(
            self.take_events(),
            answer or Answer(200),
            warnings=self.console(),
            goes_on=self if has_more else None,
        )

    @property
    def answer(self) -> Answer | None:
        """See Continuation."""
        response = self.host.response
        if not response.is_returned:
            return None
        body = response.body
        return Answer(
            response.status or 200,
            tuple(response.headers),
            body.encode("utf-8", "replace") if isinstance(body, str) else body,
            tuple(response.cookies),
        )

    def console(self) -> tuple[str, ...]:
        """Lines that it wrote since it was asked last, for the walk."""
        told, self.told = self.told, len(self.host.log)
        return tuple(f"console: {line}" for line in self.host.log[told:])

    def begins(self) -> None:
        """See Continuation."""
        for event in self._running:
            if event.on_start is not None:
                self.call(event.on_start)

    def tags_have_run(self, tags_of: Callable[[int], list[dict[str, Any]]]) -> None:
        """See Continuation."""
        running, self._running = self._running, []
        for index, event in enumerate(running, self._taken - len(running)):
            if event.on_complete is not None:
                self.call(event.on_complete)
            self.tell(event.callbacks, tags_of(index))

    def take_events(self) -> list[EventData]:
        """See Continuation."""
        new = self.host.events[self._taken :]
        self._taken += len(new)
        self._running += new
        return [event.data for event in new]

    def result(self) -> Any:
        """What it says about the request; None once it has said so."""
        return None if self._has_claimed else self.claimed()
