"""Encode: compiled core, its twin and the standard library on the same events, interleaved in one run.

`python -m benchmarks.encode [rounds]` prints the median time per event, its ratio to `urlencode`, and
whether the result is right: core and twin give the same bytes, and what they give is parsed into the event
it came from. Ratios hold between machines, times do not. `urlencode` does less: it gets names and texts,
already flat and in order.
"""

import gc
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from benchmarks.hits import make_hits, page_view, purchase
from sgtm._fast.collect import parse_collect
from sgtm._fast.encode import encode_query
from sgtm.event import Event, make_event
from sgtm.messages import IncomingRequest
from sgtm.tags.ga4 import Parameters, build

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from reference import encode as twin

REQUEST = IncomingRequest(
    method="GET",
    path="/g/collect",
    query=b"",
    headers=(),
    body=b"",
    remote_address="203.0.113.9",
    is_peer_trusted=False,
    scheme="https",
    host="shop.example",
    received_micros=1_764_000_000_000_000,
    seed=1,
)
PARAMETERS = Parameters()

Sample = tuple[Event, list[tuple[str, str]]]
"""An event, and the parameters of its hit as `urlencode` wants them."""


def by_urlencode(sample: Sample) -> str:
    """Flat pairs to a query string, escaped as in a browser."""
    return urlencode(sample[1], quote_via=quote, safe="-_.!~*'()")


CONTENDERS: dict[str, Callable[[Sample], Any]] = {
    "urlencode": by_urlencode,
    "twin": lambda sample: twin.encode_query(sample[0].data),
    "fast": lambda sample: encode_query(sample[0].data),
    "ga4 tag": lambda sample: build(sample[0], PARAMETERS),
}


def make_sample(hit: bytes) -> Sample:
    """The event of a hit without what is not sent on, and its parameters in the order of our encoder."""
    (data,) = parse_collect(hit, b"")
    sent = {k: v for k, v in data.items() if not k.startswith("x-sst-") and k != "x-ga-mp2-richsstsse"}
    pairs = parse_qsl(encode_query(sent).decode(), keep_blank_values=True)
    return make_event(sent, REQUEST, "GA4", 0), pairs


def is_right(sample: Sample) -> bool:
    """Same bytes from all three, and the way back gives the same event."""
    encoded = encode_query(sample[0].data)
    is_same = encoded == twin.encode_query(sample[0].data) == by_urlencode(sample).encode()
    return is_same and parse_collect(encoded, b"") == [sample[0].data]


def time_once(encode: Callable[[Sample], Any], samples: list[Sample]) -> float:
    """Microseconds per event of one pass over all events."""
    gc.collect()
    start = time.perf_counter()
    for sample in samples:
        encode(sample)
    return (time.perf_counter() - start) / len(samples) * 1e6


def main(rounds: int = 9) -> None:
    """Print the table of each shape of event."""
    for shape in (purchase, page_view):
        samples = [make_sample(hit) for hit in make_hits(500, shape=shape)]
        is_correct = all(map(is_right, samples))
        times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
        for _ in range(rounds):
            for name, encode in CONTENDERS.items():
                times[name].append(time_once(encode, samples))
        base = statistics.median(times["urlencode"])
        size = sum(len(encode_query(sample[0].data)) for sample in samples) // len(samples)
        print(f"{shape.__name__}: {size} bytes, {len(samples[0][1])} parameters, correct: {is_correct}")
        for name, taken in times.items():
            us = statistics.median(taken)
            print(f"  {name:20} {us:8.2f} us   {base / us:6.2f} x urlencode")
        if not is_correct:
            sys.exit("an encoded event is wrong")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
