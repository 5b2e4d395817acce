"""Hit: the state of one claimed request on its way through the pipeline."""

import asyncio
from collections.abc import Callable

from sgtm.container.container import Container, ContainerClient, ContainerTag
from sgtm.delivery.outbox import Outbox
from sgtm.event import Event
from sgtm.messages import Answer, Claimed, Cookie, IncomingRequest, Outcome, Pending
from sgtm.observability.walk import Walk, WalkedEvent, WalkedTag


class Hit:
    """What was claimed, what its tags asked for, and what they still owe to the outbox.

    A tag owes a record all the requests it built for it. When the last one is settled the outbox is
    told; never before all tags have run, since a later event of the same hit may add to the debt.
    """

    __slots__ = (
        "_all_settled",
        "_given_back",
        "_has_run",
        "_outbox",
        "_owed",
        "claimed",
        "client",
        "container",
        "cookies",
        "has_failed",
        "pending",
        "pixels",
        "record_id",
        "request",
        "script_answer",
        "waits",
        "walk",
    )

    def __init__(
        self,
        container: Container,
        client: ContainerClient,
        request: IncomingRequest,
        claimed: Claimed,
        walk: Walk | None,
        outbox: Outbox,
    ) -> None:
        self.container, self.client, self.request, self.claimed = container, client, request, claimed
        self.walk = walk
        self.record_id = -1
        self.cookies: list[Cookie] = []
        self.pixels: list[str] = []
        self.pending: list[tuple[ContainerTag, Pending, WalkedTag | None]] = []
        """Firings that cannot go on before something has been answered."""
        self.script_answer: Answer | None = None
        self.has_failed = False
        self.waits = claimed.waits_for_tags
        self._outbox = outbox
        self._owed: dict[str, int] = {}
        self._given_back: set[str] = set()
        """Tags with a delivery that the lanes gave back when they closed: still owed by the record."""
        self._has_run = False
        self._all_settled: asyncio.Future[None] | None = None
        if walk is not None:
            walk.claimed_by = client.name
            walk.warnings.extend(claimed.warnings)

    # -- debts -----------------------------------------------------------------------------------

    def owe(self, tag: str) -> Callable[[Outcome], None]:
        """`tag` owes one more request; call what is returned when that is settled."""
        self._owed[tag] = self._owed.get(tag, 0) + 1

        def settled(outcome: Outcome) -> None:
            self._owed[tag] -= 1
            if outcome.kind != "done":
                self.has_failed = True
            if outcome.kind == "retry":
                self._given_back.add(tag)
            if self._has_run:
                if not self._owed[tag] and tag not in self._given_back:
                    self._outbox.settle(self.record_id, tag)
                self._wake()

        return settled

    def tags_have_run(self) -> None:
        """All tags have run: say so to the outbox, with what is still owed."""
        self._has_run = True
        if self.record_id >= 0:
            self._outbox.ran(self.record_id, self._owing())

    def _owing(self) -> frozenset[str]:
        return frozenset(tag for tag, count in self._owed.items() if count) | self._given_back

    async def all_settled(self) -> None:
        """Wait until nothing is owed any more."""
        if any(self._owed.values()):
            self._all_settled = asyncio.get_running_loop().create_future()
            await self._all_settled

    def _wake(self) -> None:
        waiter = self._all_settled
        if waiter is not None and not waiter.done() and not any(self._owed.values()):
            waiter.set_result(None)

    # -- walk ------------------------------------------------------------------------------------

    def walk_event(self, event: Event, note: str = "") -> None:
        """Note an event, if anybody looks."""
        if self.walk is not None:
            notes = self.claimed.notes
            note = note or (notes[event.index] if event.index < len(notes) else "")
            self.walk.events.append(WalkedEvent(event.name, event.data, note))

    def walk_tag(self, name: str) -> WalkedTag | None:
        """Note a tag of the latest event, if anybody looks."""
        if self.walk is None:
            return None
        walked = WalkedTag(name, "fired")
        self.walk.events[-1].tags.append(walked)
        return walked
