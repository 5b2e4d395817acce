"""APIs that read the event and its request, and set cookies. SPEC: sandbox-api 1.1 to 1.3, 1.5.

Each is what its module in `templates/apis` declares it to be, charges a run for what it reads before it
reads it, and reads `run.host`, a `templates.host.Host`. `demand` is `templates.apis.guard.demand`.
"""

from collections.abc import Callable as Function
from typing import Any

from typing_extensions import disjoint_base

from sgtm._fast.sandbox_values import Callable, Run

__all__ = [
    "EncodeUri",
    "GetAllEventData",
    "GetCookieValues",
    "GetEventData",
    "GetRequestHeader",
    "GetTimestamp",
    "Guarded",
    "Memory",
    "ParseUrl",
    "SetCookie",
    "ToBase64",
]

@disjoint_base
class Memory:
    """What one template's APIs remember of names and addresses that were allowed, of each kind the last
    128: nothing that depends on more than its key, so forgetting changes nothing."""

@disjoint_base
class Guarded(Callable):
    """An API that needs a permission; `cost` in steps of a run, for each call."""

    def __init__(self, name: str, demand: Function[..., None] | None, cost: int = 1) -> None: ...

class GetAllEventData(Guarded):
    """`getAllEventData()`."""

@disjoint_base
class GetEventData(Guarded):
    """`getEventData(path)`; `read(data, path)` finds what stands at a path with dots."""

    def __init__(self, name: str, demand: Function[..., None], read: Function[[Any, str], Any]) -> None: ...

class GetTimestamp(Callable):
    """`getTimestampMillis()`."""

    def __init__(self, name: str) -> None: ...

@disjoint_base
class GetRequestHeader(Guarded):
    """`getRequestHeader(name)`; the request `none` has no headers."""

    def __init__(self, name: str, demand: Function[..., None], none: object) -> None: ...

@disjoint_base
class GetCookieValues(Guarded):
    """`getCookieValues(name, noDecode)`; `decoded(value)` undoes escapes."""

    def __init__(self, name: str, demand: Function[..., None], decoded: Function[[str], str]) -> None: ...

@disjoint_base
class EncodeUri(Callable):
    """`encodeUriComponent(text)`, or `encodeUri(text)`; undefined for half a surrogate pair."""

    def __init__(self, name: str, is_component: bool) -> None: ...

class ToBase64(Callable):
    """`toBase64(text, {urlEncoding})`."""

    def __init__(self, name: str) -> None: ...

@disjoint_base
class ParseUrl(Callable):
    """`parseUrl(text)`: a copy of what `parsed(text)` gives; undefined for None and for what is no text."""

    def __init__(self, name: str, parsed: Function[[str], dict[str, Any] | None]) -> None: ...

@disjoint_base
class SetCookie(Guarded):
    """`setCookie(name, value, options, noEncode)`.

    `slow(run, args)` does it, permission and all; `cookie` is the struct that it adds to the answer, whose
    first two members are name and value: the others are remembered for the same name, host and options."""

    def __init__(
        self, name: str, slow: Function[[Run, list[Any]], Any], cookie: type[Any], cost: int
    ) -> None: ...
