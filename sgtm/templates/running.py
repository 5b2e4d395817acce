"""One run of a template: its code, then the answers that it waits for, until nothing is left.

    start -> code -> reactions that are ready -> (asks -> answers -> reactions)* -> result

The first error ends the run: it fails alone. What an error says may quote the event, so the whole of it
goes on the console only; `failure` names template, place and class. SPEC: google-runtime 5.3, reliability 4.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from msgspec import UNSET

from sgtm._fast.sandbox_border import engine_value, house_value
from sgtm._fast.sandbox_functions import Require
from sgtm._fast.sandbox_values import LimitError, Native, Promise, Run, SandboxError
from sgtm.messages import Ask, Failed, Listener, VendorAnswer
from sgtm.templates.apis.guard import PermissionRefused
from sgtm.templates.code import Code
from sgtm.templates.host import EventCallback, Host
from sgtm.templates.processor import ProcessorTime
from sgtm.templates.script import SETTING_OF
from sgtm.templates.surroundings import Surroundings

MAX_CONSOLE_LINE = 4_096


log = logging.getLogger("sgtm.templates")

FORGOTTEN_TIMEOUT_S = 15.0


class TemplateFailed(Exception):
    """A run that failed; says template, place and class."""


class TemplateRun(Listener):
    """A run that has begun. `shape` makes of it what its kind of component returns."""

    def __init__(
        self, code: Code, surroundings: Surroundings, host: Host, shape: Callable[["TemplateRun"], Any]
    ) -> None:
        self._code, self._surroundings, self.host, self._shape = code, surroundings, host, shape
        limits = surroundings.limits
        self.wall_s = limits.wall_s
        processor = surroundings.processor
        self._processor = None if processor is None else ProcessorTime(limits.cpu_ms, processor)
        self._run: Run = limits.start(self._processor)
        self._run.host = host

    # PERF: what most runs leave as it is stands here, once for all of them
    _open = 0
    """Requests whose answers are awaited."""
    has_asked = False
    """Whether requests of its own were sent."""
    _seconds, _is_counted = 0.0, False
    told = 0
    """Lines of its console that the walk has."""
    value: Any = UNSET
    """What the code has returned."""
    failure = limit = ""
    """Why it failed, without anything of the event; the limit that it went beyond."""

    def start(self, require: Require, data: Mapping[str, Any]) -> "TemplateRun":
        """Run the code. `data` is not changed: the code gets a copy."""

        def code() -> None:
            values = engine_value(self._run, data)
            if self.host.kind == "tag":
                values |= {"gtmOnSuccess": _SUCCESS, "gtmOnFailure": _FAILURE}
            self.value = self._code.script.call(self._run, require, values)

        self._step(code)
        self.host.has_returned = True
        self.count_if_over()
        return self

    @property
    def is_over(self) -> bool:
        """Nothing is asked any more."""
        return bool(self.failure) or not (self._open or self.host.asks)

    def take_asks(self) -> list[Ask]:
        """See Conversation."""
        asks, self.host.asks = self.host.asks, []
        if self.failure:
            return []
        self._open += sum(ask.is_awaited for ask in asks)
        self.has_asked = self.has_asked or bool(asks)
        return asks

    def answered(self, ask: Ask, answer: VendorAnswer | Failed) -> None:
        """See Conversation."""
        self._open -= 1
        self._step(lambda: ask.done(answer))
        self.count_if_over()

    def call(self, function: Callable[[], object]) -> None:
        """Call a function of the template; its errors are the run's."""
        self._step(function)
        self.count_if_over()

    def event_ended(self, tags: list[dict[str, Any]]) -> None:
        """See Listener."""
        callbacks, self.host.event_callbacks = self.host.event_callbacks, []
        self.tell(callbacks, tags)

    def tell(self, callbacks: list[EventCallback], tags: list[dict[str, Any]]) -> None:
        """Call what waits for the end of an event."""
        container_id = self.host.container.container_id
        for callback in callbacks:
            self.call(partial(callback, container_id, {"tags": tags}))

    def end(self) -> None:
        """See Conversation."""
        if not self.failure:
            self._fail("it waits for too long", "", "wall_s")
        self.count_if_over()

    def result(self) -> Any:
        """See Conversation."""
        return self._shape(self)

    def settled_value(self) -> Any:
        """What the code has returned, as plain values: of a promise what it has come to, undefined where it
        is rejected or waits."""
        value = self.value
        while isinstance(value, Promise):
            value = value.value if value.state == "fulfilled" else UNSET
        return house_value(self._run, value)

    def count_if_over(self) -> None:
        """Count the run once it has come to its end."""
        if not self._is_counted and self.is_over:
            self._is_counted = True
            self._surroundings.ended(self._code.name, self._seconds)
            if self.failure or self.host.succeeded is False:
                self._surroundings.failed(self._code.name, self.limit)
            if log.isEnabledFor(logging.DEBUG):  # whoever asks for that much sees what templates see (R229)
                for line in self.host.log:
                    log.debug("template wrote", extra={"template": self._code.name, "line": line})

    # -- one step --------------------------------------------------------------------------------

    def _step(self, function: Callable[[], object]) -> None:
        """Run something of the template's, and the reactions that it makes ready. Never raises."""
        if self.failure:
            return
        clock = self._surroundings.clock
        began = clock() if clock is not None else 0.0
        if self._processor is not None:
            self._processor.looked_at = None
        try:
            function()
            self._run.drain()
            if self.host.kind != "tag":
                self._send_forgotten()
        except SandboxError as error:
            limit = error.limit if isinstance(error, LimitError) else ""
            kind = str(error) if isinstance(error, PermissionRefused) else type(error).__name__
            self._fail(str(error), kind, limit)
        except (RecursionError, MemoryError) as error:
            self._fail(type(error).__name__, type(error).__name__, "")
        except Exception as error:  # a mistake of ours in an API: this run fails, nothing else
            self._fail(f"{type(error).__name__} in an API of sgtm", type(error).__name__, "")
        if clock is not None:
            self._seconds += clock() - began

    def _send_forgotten(self) -> None:
        """Only tags have lanes: what nobody waits for is sent all the same, once."""
        requests, self.host.requests = self.host.requests, []
        for request in requests:
            self.host.asks.append(Ask(request, FORGOTTEN_TIMEOUT_S, _nobody, is_awaited=False))

    def _fail(self, said: str, kind: str, limit: str) -> None:
        place = self._code.script.place(self._run.at)
        why = f"beyond the limit {SETTING_OF.get(limit, limit)}" if limit else kind
        self.failure, self.limit = f"{place}: {why}", limit
        self.host.log.append(f"error: {place}: {said}"[:MAX_CONSOLE_LINE])
        if (
            self._is_counted and self.host.succeeded is not False
        ):  # a callback, after its code and all answers
            self._surroundings.failed(self._code.name, limit)


def _nobody(answer: VendorAnswer | Failed) -> None:
    pass


def _settle(succeeded: bool) -> Native:
    def settle(run: Run, args: list[Any]) -> Any:
        if run.host.succeeded is None:
            run.host.succeeded = succeeded
        return UNSET

    return Native("gtmOnSuccess" if succeeded else "gtmOnFailure", settle)


_SUCCESS, _FAILURE = _settle(True), _settle(False)
