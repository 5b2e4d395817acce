"""Parse: compiled core, its twin and the standard library on the same hits, interleaved in one run.

`python -m benchmarks.parse [rounds]` prints the median time per hit, its ratio to `parse_qsl`, and whether
core and twin gave equal events. Ratios hold between machines, times do not. `parse_qsl` does less: it
makes texts only, no numbers, no items, no objects.
"""

import gc
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl

from benchmarks.hits import make_hits, page_view, purchase
from sgtm._fast.collect import add_request_data, parse_collect

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from reference import collect as twin

HEADERS = (
    (b"host", b"sst.shop.example"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/136.0.0.0 Safari/537.36"),
    (b"sec-ch-ua", b'"Chromium";v="136", "Google Chrome";v="136", "Not.A/Brand";v="99"'),
    (b"sec-ch-ua-mobile", b"?0"),
    (b"sec-ch-ua-platform", b'"Linux"'),
    (b"accept", b"*/*"),
)


def complete(query: bytes) -> None:
    """Parse and add what the server knows, as a hit on its way does."""
    add_request_data(parse_collect(query, b""), HEADERS, "203.0.113.9", 1_764_000_000_000_000)


CONTENDERS: dict[str, Callable[[bytes], object]] = {
    "parse_qsl": lambda query: dict(parse_qsl(query.decode(), keep_blank_values=True)),
    "twin": lambda query: twin.parse_collect(query, b""),
    "fast": lambda query: parse_collect(query, b""),
    "fast + request data": complete,
}


def time_once(parse: Callable[[bytes], object], hits: list[bytes]) -> float:
    """Microseconds per hit of one pass over all hits."""
    gc.collect()
    start = time.perf_counter()
    for hit in hits:
        parse(hit)
    return (time.perf_counter() - start) / len(hits) * 1e6


def main(rounds: int = 9) -> None:
    """Print the table of each shape of hit."""
    for shape in (purchase, page_view):
        hits = make_hits(500, shape=shape)
        is_correct = all(repr(parse_collect(hit, b"")) == repr(twin.parse_collect(hit, b"")) for hit in hits)
        times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
        for _ in range(rounds):
            for name, parse in CONTENDERS.items():
                times[name].append(time_once(parse, hits))
        base = statistics.median(times["parse_qsl"])
        size = sum(map(len, hits)) // len(hits)
        print(f"{shape.__name__}: {size} bytes, {hits[0].count(b'&') + 1} parameters, correct: {is_correct}")
        for name, taken in times.items():
            us = statistics.median(taken)
            print(f"  {name:20} {us:8.2f} us   {base / us:6.2f} x parse_qsl")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
