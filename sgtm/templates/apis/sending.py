"""How a request leaves a template, and how its answer comes back.

Who waits for an answer gets it by an `Ask` of the host. Where nobody waits, the request goes through the
lanes, which are durable: no callback was given, and when the script's own code and all that was ready have
run, the promise has no reaction and nothing of the script holds it any more, so it never gets one
(`_is_forgotten`). SPEC: sandbox-api 1.4.
"""

import sys
from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from sgtm._fast.sandbox_values import LimitError, Promise, Run, ScriptError
from sgtm.messages import OutgoingRequest, VendorAnswer
from sgtm.templates.host import Failed, host_of

DEFAULT_TIMEOUT_S, MAX_TIMEOUT_S = 5.0, 15.0
"""SPEC: reliability 4.2: a promise is rejected after 5 s, or after the time-out that the call itself names,
up to 15 s."""

Read = Callable[[VendorAnswer], Any]
"""The value in an answer. Raises Rejection, or SandboxError."""
Answered = Callable[[VendorAnswer | Failed], None]


class Rejection(Exception):
    """What a promise is rejected with, in place of a value."""

    def __init__(self, reason: Any) -> None:
        self.reason = reason
        super().__init__()


class _Awaited(Promise):
    """A promise that knows whether anybody ever asked what becomes of it."""

    __slots__ = ("is_awaited",)

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.is_awaited = False

    def then(self, on_value: Any, on_reason: Any) -> Promise:
        """The promise of what the reaction gives."""
        self.is_awaited = True
        return super().then(on_value, on_reason)


_ALONE = [object()]
_HELD_ONCE = sys.getrefcount(_ALONE[0])
"""What Python counts for an object that one list holds, and nobody else."""


def _is_forgotten(holder: list[_Awaited]) -> bool:
    """Whether nobody can learn what becomes of the promise in `holder`, a list that holds it alone."""
    return not holder[0].is_awaited and sys.getrefcount(holder[0]) == _HELD_ONCE


def count_call(run: Run) -> None:
    """One more request. Raises LimitError."""
    host = host_of(run)
    if host.count("http") >= host.http_calls:
        raise LimitError("http_calls", f"the run sends more than {host.http_calls} requests")


def ask(run: Run, request: OutgoingRequest, timeout_s: float, answered: Answered) -> None:
    """Send it, and go on with `answered` as a job of the run."""
    host_of(run).ask(request, timeout_s, lambda said: run.jobs.append(lambda: answered(said)))


def promised(run: Run, request: OutgoingRequest, timeout_s: float, read: Read) -> Promise:
    """The promise of what `read` makes of the answer."""
    count_call(run)
    holder = [_Awaited(run)]
    run.later.append(lambda: _send(run, holder, request, timeout_s, read))
    return holder[0]


def _send(run: Run, holder: list[_Awaited], request: OutgoingRequest, timeout_s: float, read: Read) -> None:
    if _is_forgotten(holder):
        holder[0].resolve(UNSET)  # it waits for nothing any more
        host_of(run).requests.append(request)
        return
    promise = holder[0]
    ask(run, request, timeout_s, lambda said: settle(run, promise, said, read))


def settle(run: Run, promise: Promise, said: VendorAnswer | Failed, read: Read) -> None:
    """Resolve or reject a promise by an answer."""
    try:
        if isinstance(said, Failed):
            raise Rejection(reason_of(run, said))
        promise.resolve(read(said))
    except Rejection as rejection:
        promise.reject(rejection.reason)
    except ScriptError as error:
        promise.reject(reason_object(run, str(error)))


def rejected(run: Run, reason: str) -> Promise:
    """A promise that is rejected with `{reason}`."""
    promise = Promise(run)
    promise.reject(reason_object(run, reason))
    return promise


def reason_of(run: Run, failed: Failed) -> dict[str, Any]:
    """What a template is told of a request that was not answered."""
    return reason_object(run, "timed_out" if failed.reason == "timed_out" else "failed")


def reason_object(run: Run, reason: str) -> dict[str, Any]:
    """`{reason}`, as promises of APIs are rejected with."""
    run.make_elements(1)
    return {"reason": reason}
