"""Preparations: what happens to an event before any trigger sees it (SPEC: requirements R162, R163)."""

import logging

from sgtm.container.container import View
from sgtm.hit import Hit
from sgtm.messages import Dropped
from sgtm.observability.metrics import Counters
from sgtm.observability.walk import WalkedEvent

log = logging.getLogger("sgtm.pipeline")


def prepared(hit: Hit, view: View, walked: WalkedEvent | None, counters: Counters) -> View | None:
    """The event as triggers see it; None where a preparation has dropped it. One that raises drops it too:
    it may have been there to take something out."""
    for preparation in hit.container.preparations:
        if walked is not None:
            walked.preparations.append(preparation.explain(view))
        try:
            if not preparation.applies(view):
                continue
            data = preparation.transform(view)
        except Exception as error:
            log.error(
                "preparation raised",
                extra={"preparation": preparation.name, "error": type(error).__name__},
            )
            data = Dropped(f"raised {type(error).__name__}")
            reason = f"preparation {preparation.name!r} {data.reason}"
            hit.build_failed("", view.event.index, reason)
        if isinstance(data, Dropped):
            counters.add("sgtm_events_dropped_total", preparation.name)
            if walked is not None:
                walked.note = f"dropped by {preparation.name!r}: {data.reason}"
            return None
        view = view.changed(data)
    return view
