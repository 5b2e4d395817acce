"""Contenders side by side in one run: the only way in which a noisy machine gives a figure that holds.

They take turns, in a new order each round; what counts is the median, and the ratio of a contender to the
first one (the yardstick) within the same round. Times are of this machine and this hour, ratios travel.
"""

import gc
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")

LIMIT_S = 60.0
MIN_ROUNDS = 3


class Contender(Struct, Generic[T]):
    """Who takes part. `before` is called ahead of each of its turns, outside the measurement."""

    name: str
    work: Callable[[T], object]
    before: Callable[[], object] = int


def turns(contenders: Sequence[T], rounds: int, title: str, limit_s: float = LIMIT_S) -> Iterator[T]:
    """Each contender once a round, in a new order each time. Shows how far it is; ends after `rounds`, or
    with the round in which `limit_s` is over, but not before the third."""
    until = time.perf_counter() + limit_s
    for number in range(rounds):
        if number >= MIN_ROUNDS and time.perf_counter() > until:
            break
        print(f"\r{title}: round {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
        yield from random.sample(contenders, len(contenders))
    print(file=sys.stderr)


def ratio(yardstick: Sequence[float], other: Sequence[float]) -> float:
    """How many times what `other` takes the yardstick takes: median over the rounds. 2: half the time."""
    return statistics.median(its / mine for its, mine in zip(yardstick, other, strict=True))


def compare(
    title: str,
    contenders: Sequence[Contender[T]],
    samples: Sequence[T],
    checks: Sequence[bool],
    rounds: int,
    unit: str = "hit",
) -> None:
    """Time each contender on all samples and print a table; exit if one of the `checks` found wrong."""
    taken: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for contender in turns(contenders, rounds, title):
        contender.before()
        taken[contender.name].append(_time_once(contender.work, samples))
    yardstick = contenders[0].name
    print(f"{title}; right: {sum(checks)} of {len(checks)}")
    for name, times in taken.items():
        us, times_faster = statistics.median(times), ratio(taken[yardstick], times)
        print(f"  {name:24}{us:9.2f} us a {unit}{times_faster:8.2f} x {yardstick}")
    if not all(checks):
        sys.exit("a result is wrong")


def rounds_asked(default: int = 9) -> int:
    """The only argument of the simple benchmarks."""
    return int(sys.argv[1]) if len(sys.argv) > 1 else default


def _time_once(work: Callable[[T], object], samples: Sequence[T]) -> float:
    """Microseconds per sample of one pass over all of them."""
    gc.collect()
    start = time.perf_counter()
    for sample in samples:
        work(sample)
    return (time.perf_counter() - start) / len(samples) * 1e6
