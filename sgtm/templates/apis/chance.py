"""Time, chance, and what is put off: generateRandom, getTimestamp, getTimestampMillis, callLater.

Time and chance are the request's, so the same record always gives the same. SPEC: sandbox-api 1.3, 1.5,
google-runtime 5.5.
"""

import math
from typing import Any

from msgspec import UNSET

from sgtm._fast.sandbox_apis import GetTimestamp
from sgtm._fast.sandbox_values import Callable, Run
from sgtm.templates.apis.declaration import api, declare
from sgtm.templates.arguments import Arguments, argument, refused
from sgtm.templates.host import host_of

_LARGEST = 2_147_483_647


@api("generateRandom", cost=4)
def generate_random(run: Run, args: Arguments) -> int:
    """A whole number between two others, both included."""
    low: int | float
    high: int | float
    low, high = argument(args, 0), argument(args, 1)
    if not all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in (low, high)):
        raise refused("generateRandom", args)
    if not (math.isfinite(low) and math.isfinite(high)) or low > high or math.floor(high) < math.ceil(low):
        low, high = 0, _LARGEST
    first = math.ceil(low)
    return first + _draw(run) % (math.floor(high) - first + 1)


def _draw(run: Run) -> int:
    """128 bits, others each time: the bias of a remainder is far below what anybody can see."""
    return int.from_bytes(chance_of(run, "template"), "big")


def chance_of(run: Run, purpose: str) -> bytes:
    """16 bytes of chance: of the request, the event and the template, and others at each call."""
    host = host_of(run)
    purpose = f"{host.count('chance')} {purpose} {host.kind} {host.name}"
    return host.request.chance(purpose) if host.event is None else host.event.chance(purpose)


declare(GetTimestamp("getTimestampMillis"), "When the request came, in milliseconds since 1970.")
declare(GetTimestamp("getTimestamp"), "The same as getTimestampMillis; outdated.")


@api("callLater")
def call_later(run: Run, args: Arguments) -> Any:
    """Calls a function after the code that runs now and all promises that are ready."""
    function = argument(args, 0)
    if not isinstance(function, Callable):
        raise refused("callLater", args)
    run.make_elements(1)
    run.later.append(lambda: function(run))
    return UNSET
