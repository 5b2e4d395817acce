"""EventRun: the state of one event while its tags fire."""

import asyncio

from msgspec import Struct

from sgtm.container.container import ContainerTag, View
from sgtm.delivery.letter import is_name
from sgtm.hit import Debt, Hit
from sgtm.observability.trace import TagTrace, Trace
from sgtm.observability.walk import WalkedEvent, WalkedTag, WalkedVariable
from sgtm.once import Claim


class EventRun(Struct, eq=False):
    """One event while its tags fire."""

    hit: Hit
    view: View
    walked: WalkedEvent | None
    claims: dict[str, Claim] = {}
    """Keys that tags have taken for what they are about to send."""
    traces: dict[str, TagTrace] = {}
    """Tags that build just now, if anybody is told."""
    sequences: dict[str, asyncio.Future[Debt | None]] = {}
    """Sequences of this event by the name of their tag."""

    def begins(self, tag: ContainerTag, trace: Trace) -> None:
        """The tag begins to build, and somebody is told."""
        self.traces[tag.name] = trace.tag(tag.name, harmless(self.view.event.name))

    def has_built(self, tag: ContainerTag, requests: int, failure: str = "") -> TagTrace | None:
        """The tag has built so many requests, or why none; who is told what becomes of them."""
        trace = self.traces.pop(tag.name, None)
        if trace is not None:
            trace.built(requests, failure)
        return trace

    def walk_tag(self, tag: ContainerTag) -> WalkedTag | None:
        """The tag's place on the walk, if anybody looks."""
        if self.walked is None:
            return None
        known = next((one for one in self.walked.tags if one.name == tag.name), None)
        if known is None:
            known = WalkedTag(tag.name, "fired", is_alone=self.walked.is_alone)
            if tag.explain is not None:
                known.triggers = tag.explain(self.view)
            self.walked.tags.append(known)
        elif known.outcome == "not triggered":  # it runs as somebody's set-up or clean-up tag
            known.outcome = "fired"
        return known


def harmless(name: str) -> str:
    """A name that came with an event, if it looks like one: whoever sends the event chooses it."""
    return name if is_name(name) else "..."


def walk_transformations(tag: ContainerTag, view: View, walked: WalkedTag) -> None:
    """Note them for somebody who looks."""
    walked.transformations.clear()
    for transformation in tag.transformations:
        walked.transformations.append(transformation.explain(view))
        view = view.after(transformation)


def walk_variables(view: View, walked: WalkedTag) -> None:
    """Note them for somebody who looks."""
    failed = view.failed_variables
    walked.variables = [WalkedVariable(name, value, name in failed) for name, value in view.values()]
    around = view.container.surroundings
    said = around.console(view.event.request) if around is not None else {}
    lines = (f"{one.name}: {line}" for one in walked.variables for line in said.get(one.name, ()))
    walked.console.extend(lines)
