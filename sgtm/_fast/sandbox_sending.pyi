"""How a request leaves a template, and how its answer comes back. SPEC: sandbox-api 1.4."""

from collections.abc import Callable as Function
from collections.abc import Container
from typing import Any

from typing_extensions import disjoint_base

from sgtm._fast.sandbox_apis import Guarded
from sgtm._fast.sandbox_values import Promise, Run

__all__ = ["Lines", "Rejection", "SendHttp", "answer_body", "answer_headers", "reason_object"]

class Rejection(Exception):
    """What a promise is rejected with, in place of a value."""

    reason: Any
    def __init__(self, reason: Any) -> None: ...

@disjoint_base
class Lines:
    """How requests leave a run: awaited ones as `ask(request, timeout_s, done)` in `run.host.asks`, others in
    `run.host.requests`. `failed` is the class of what comes where there is no answer."""

    def __init__(
        self, ask: Function[[Any, float, Function[[Any], None]], Any], failed: type[Any]
    ) -> None: ...
    def promised(
        self, run: Run, request: Any, timeout_s: float, read: Function[[Any], Any] | None
    ) -> Promise:
        """The promise of what `read` makes of the answer; None: what sendHttpRequest gives.

        `read` raises Rejection or SandboxError. Raises LimitError."""

    def settle(
        self, run: Run, promise: Promise, request: Any, timeout_s: float, read: Function[[Any], Any]
    ) -> int:
        """Have it sent at once, and settle a promise by what `read` makes of the answer."""

    def count_call(self, run: Run) -> int:
        """One more request. Raises LimitError."""

@disjoint_base
class SendHttp(Guarded):
    """`sendHttpRequest`, or `sendHttpGet` where a `method` is given.

    `target(url)` is the address as it is written, None for what is none; `written(headers)` gives headers
    and what is said about others; `credential(name, options, url)` reads `authorization`; `outgoing` makes a
    request of method, URL, headers, body and credential."""

    def __init__(
        self,
        name: str,
        demand: Function[..., None],
        lines: Lines,
        target: Function[[str], str | None],
        written: Function[[dict[str, str]], tuple[tuple[tuple[str, str], ...], tuple[str, ...]]],
        credential: Function[[str, dict[str, Any], str], Any],
        outgoing: Function[..., Any],
        methods: Container[str],
        method: str | None,
        default_s: float,
        max_s: float,
    ) -> None: ...

def answer_body(run: Run, answer: Any) -> Any:
    """The body of an answer as text; undefined where there is none."""

def answer_headers(run: Run, answer: Any) -> dict[str, Any]:
    """Headers by lower-case name, repeated ones joined; of set-cookie an array, as in Node."""

def reason_object(run: Run, reason: Any) -> dict[str, Any]:
    """`{reason}`, as promises of APIs are rejected with."""
