"""Values of the template engine: a closed set, and the limits of a run.

null is None, undefined is msgspec's UNSET; the rest is bool, int, float, str, list, dict (keys are texts) and
the classes below. SPEC: google-runtime 5.2, reliability 4.
"""

from collections import deque
from collections.abc import Callable as Function
from typing import Any, final

from typing_extensions import disjoint_base

__all__ = [
    "Callable",
    "FatalError",
    "HostObject",
    "LimitError",
    "Native",
    "Opaque",
    "Promise",
    "Regex",
    "Run",
    "SandboxError",
    "ScriptError",
]

class SandboxError(Exception):
    """What stops a script."""

class ScriptError(SandboxError):
    """An error of the language or of an API: a script can catch it."""

class FatalError(SandboxError):
    """An error that a script cannot catch: an unknown API, a name that is assigned but not declared."""

class LimitError(SandboxError):
    """A run went beyond a limit; no script can catch it."""

    limit: str
    """Name of the setting."""
    def __init__(self, limit: str, what: str) -> None: ...

@final
class Run:
    """What one run may still use, and where it is. Every host function charges before it works; a limit
    that is reached is a LimitError."""

    steps: int
    texts: int
    elements: int
    longest_text: int
    depth: int
    nesting: int
    promises: int
    at: int
    """Offset in the source of what was begun last."""
    frozen: dict[int, Any] | None
    """Objects that `Object.freeze` was called with, by id."""
    named: dict[tuple[int, str], tuple[list[Any], Any]] | None
    """Members of arrays that are no positions, by the array's id and their name; each with its array, so that
    no other one gets the id."""
    jobs: deque[Function[[], object]]
    """Reactions of promises that are ready."""
    later: deque[Function[[], object]]
    """What `callLater` left: run when no reaction is ready."""
    patterns: Any
    """Has match, search, replace, split and expand: what methods of texts do with patterns."""
    tick: Function[[], object] | None
    """Called about every 1,000 steps; may raise LimitError."""
    host: Any
    """Whom the run works for: what its APIs read and change. None where it works for nobody."""
    def __init__(
        self,
        steps: int,
        texts: int,
        longest_text: int,
        elements: int,
        depth: int,
        nesting: int,
        promises: int,
        patterns: Any = None,
        tick: Function[[], object] | None = None,
    ) -> None: ...
    def charge(self, count: int) -> int:
        """Take `count` steps."""

    def make_text(self, length: int) -> int:
        """A text of `length` characters is about to be made."""

    def make_elements(self, count: int) -> int:
        """`count` members of lists or objects are about to be made."""

    def drain(self) -> None:
        """Run reactions of promises until none is ready, then one of `later`, and so on."""

@disjoint_base
class Callable:
    """A function value; `name` is what its text is."""

    name: str
    def __call__(self, run: Run, *args: Any) -> Any:
        """Call it. Raises SandboxError."""

@disjoint_base
class Native(Callable):
    """A function of the host: `function(run, args)`. Each call is charged `cost` steps and for the size of
    its arguments before it begins."""

    def __init__(self, name: str, function: Function[[Run, list[Any]], Any], cost: int = 1) -> None: ...

@disjoint_base
class HostObject:
    """An object of an API: its members are read, never written."""

    name: str
    def __init__(self, name: str, members: dict[str, Any]) -> None: ...

@disjoint_base
class Opaque:
    """A value of the host that only has a text: a caught error."""

    text: str
    def __init__(self, text: str) -> None: ...

@disjoint_base
class Regex(Opaque):
    """A pattern, as `createRegex` gives it."""

    pattern: Any
    is_global: bool
    last_index: int
    def __init__(self, text: str, pattern: Any, is_global: bool) -> None: ...

@disjoint_base
class Promise:
    """A promise of ours: settled by the host or by a reaction; reactions are jobs of the run."""

    state: str
    """pending, fulfilled, rejected."""
    value: Any
    def __init__(self, run: Run) -> None: ...
    def then(self, on_value: Any, on_reason: Any) -> Promise:
        """The promise of what the reaction gives. What is no function is passed over."""

    def resolve(self, value: Any) -> bool:
        """Fulfil it, or follow `value` if that is a promise. False: it was settled before."""

    def reject(self, reason: Any) -> bool:
        """Reject it. False: it was settled before."""
