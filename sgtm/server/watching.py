"""Watching: how somebody looks at requests on their way, and what that may change of them: nothing.

`Reception` asks its `watch`, while there is one, of every request. Without one a request costs no more than
that question.
"""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Protocol

from msgspec import Struct

from sgtm.container.container import Endpoint
from sgtm.messages import Answer, IncomingRequest
from sgtm.observability.walk import Walk


class Runs(Protocol):
    """The pipeline, as the server needs it."""

    def run(self, request: IncomingRequest, walk: Walk | None = None) -> Answer | Awaitable[Answer]:
        """Take a request to its answer."""

    def endpoint(self, path: str, host: str) -> Endpoint | None:
        """Whose a request is that nobody has looked at yet."""

    def refuse(self, request: IncomingRequest) -> Answer | None:
        """The answer to a request that is refused before anything is parsed, or None."""

    def drop(self, request: IncomingRequest) -> Answer:
        """The answer of a hit that is dropped in silence."""


class Entered(Struct):
    """A request that somebody looks at, or that only looked like it."""

    request: IncomingRequest
    """Without what marked it."""
    walk: Walk | None = None
    """None: nobody looks."""
    runs: Runs | None = None
    """What it runs through; None: the published container, as everybody's."""
    is_refusable: bool = True
    """Whether it is refused as everybody's is, before a claim. Who tests wants to see what a claim makes of
    it instead."""
    answered: Callable[[Answer], Answer] | None = None
    """Hears the answer, and may add to it."""

    def finish(self, answer: Answer | Awaitable[Answer]) -> Answer | Awaitable[Answer]:
        """The answer as it leaves."""
        if self.answered is None:
            return answer
        return self._finish_later(answer) if isawaitable(answer) else self.answered(answer)

    async def _finish_later(self, answer: Awaitable[Answer]) -> Answer:
        made = await answer
        return made if self.answered is None else self.answered(made)


class Watch(Protocol):
    """Whoever looks."""

    def enter(self, request: IncomingRequest) -> Entered | None:
        """What becomes of a request; None: it goes on as it is."""


class NewWalks:
    """A watch of every request for which `new_walk` gives a walk."""

    def __init__(self, new_walk: Callable[[IncomingRequest], Walk | None]) -> None:
        self._new_walk = new_walk

    def enter(self, request: IncomingRequest) -> Entered | None:
        """See Watch."""
        walk = self._new_walk(request)
        return None if walk is None else Entered(request, walk, is_refusable=False)
