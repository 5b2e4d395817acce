"""EventRun: the state of one event while its tags fire."""

import asyncio

from sgtm.container.container import ContainerTag, View
from sgtm.hit import Debt, Hit
from sgtm.observability.walk import WalkedEvent, WalkedTag, WalkedVariable
from sgtm.once import Claim


class EventRun:
    """One event while its tags fire."""

    __slots__ = ("claims", "hit", "sequences", "view", "walked")

    def __init__(self, hit: Hit, view: View, walked: WalkedEvent | None) -> None:
        self.hit, self.view, self.walked = hit, view, walked
        self.claims: dict[str, Claim] = {}
        """Keys that tags have taken for what they are about to send."""
        self.sequences: dict[str, asyncio.Future[Debt | None]] = {}
        """Sequences of this event by the name of their tag."""

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


def walk_transformations(tag: ContainerTag, view: View, walked: WalkedTag | None) -> None:
    """Note, if anybody looks."""
    if walked is None:
        return
    walked.transformations.clear()
    for transformation in tag.transformations:
        walked.transformations.append(transformation.explain(view))
        view = view.after(transformation)


def walk_variables(view: View, walked: WalkedTag | None) -> None:
    """Note, if anybody looks."""
    if walked is not None:
        failed = view.failed_variables
        walked.variables = [WalkedVariable(name, value, name in failed) for name, value in view.values()]
