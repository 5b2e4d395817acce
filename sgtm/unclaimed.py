"""Unclaimed: letters of requests that no client took, because one raised, or because none is there any more.

Whoever sends requests that make a client raise could fill the disk with them: a worker keeps 60 at once and
one a second after that, and the letters of this kind fall out before any that lanes have given up do (see
LetterBounds). What is not kept is counted.
"""

from msgspec.structs import replace

from sgtm.container.container import Container
from sgtm.delivery.letter import MAX_REASON, Letter, now_micros
from sgtm.hit import Again, Debts, Run
from sgtm.messages import CREDENTIALS, Answer, Claimed, Record, record_of
from sgtm.observability.metrics import Counters

AT_ONCE = 60
A_SECOND = 1.0


class Unclaimed:
    """Keeps such letters, for one worker."""

    def __init__(self, outbox: Debts, counters: Counters) -> None:
        self._outbox, self._counters = outbox, counters
        self._left, self._at_micros = float(AT_ONCE), 0

    def raised(self, run: Run) -> None:
        """A client raised and no other one claimed the request (SPEC: R301)."""
        if not self._may_keep():
            self._counters.add("sgtm_letters_not_kept_total", "too many unclaimed requests")
            return
        nobody = Claimed([], Answer(400), conceal=may_be_credentials(run.container))
        record = record_of(run.request, nobody, run.container.version)
        self._outbox.bury(-1, _letter(run, record, run.raised))

    def lost(self, run: Run, again: Again) -> None:
        """A record is run again, and no client claims it any more."""
        record = Record(run.request, run.container.version)
        letter = _letter(run, record, run.raised or "no client claims it any more")
        tag = next(iter(again.only)) if again.only is not None and len(again.only) == 1 else ""
        letter = replace(letter, tag=tag, event_index=again.event, settled=tuple(again.settled))
        (again.debts or self._outbox).bury(again.record_id, letter)

    def _may_keep(self) -> bool:
        now = now_micros()
        if self._at_micros:
            self._left = min(AT_ONCE, self._left + max(now - self._at_micros, 0) / 1e6 * A_SECOND)
        self._at_micros = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def may_be_credentials(container: Container) -> tuple[str, ...]:
    """Of a request that no client has looked at, so that nobody has said what in it is a credential: query
    parameters and headers that may hold one."""
    own = [
        name
        for client in container.clients
        if client.component.conceals is not None
        for name in client.component.conceals(client.parameters)
    ]
    return (*CREDENTIALS, *own)


def _letter(run: Run, record: Record, reason: str) -> Letter:
    return Letter(
        record=record,
        kind="build",
        tag="",
        reason=reason[:MAX_REASON],
        at_micros=now_micros(),
        container_version=run.container.version,
    )
