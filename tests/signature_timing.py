"""Does the time of a refusal tell how much of a signature was right? `make timing` asks.

Two wrong signatures, one that differs in its first byte and one that differs in its last, take turns, through
all that a webhook's claim does. They may differ by less than a microsecond in the median, or by nothing that
chance does not explain (Mann-Whitney, p > 0.01). SPEC: reliability 5.5 and 7, row 33.
"""

import argparse
import hashlib
import hmac
import math
import statistics
import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

from cases import make_parameters, make_request

from sgtm.clients.webhook import claim
from sgtm.component import find
from sgtm.messages import Claimed
from sgtm.said import sound

SECRET = "the secret of the timing"
BODY = b'{"type": "paid"}' + b" " * 2_000
LARGEST_NS, SMALLEST_P = 1_000.0, 0.01
PARAMETERS = {
    "paths": ["/w"],
    "signature": {"secrets": ["KEY"], "header": "X-Signature"},
    "other_events": "order",
}


def refusal(signature: bytes) -> Callable[[], None]:
    """What is timed: one request with this signature, refused."""
    component = find("client", "webhook")
    assert component is not None
    parameters = make_parameters(component, PARAMETERS)
    headers = {"X-Signature": signature.hex()}
    request = make_request({"method": "POST", "target": "/w", "headers": headers, "body": BODY})

    def run() -> None:
        said = sound(claim(request, parameters), lambda _: SECRET)
        assert isinstance(said, Claimed)
        assert not said.events

    return run


def measure(runs: Sequence[Callable[[], None]], samples: int) -> list[list[int]]:
    """Nanoseconds of each run, taken in turns."""
    taken: list[list[int]] = [[] for _ in runs]
    for number in range(samples + 200):
        for index in range(len(runs)):
            which = (index + number) % len(runs)  # nobody always goes first
            began = time.perf_counter_ns()
            runs[which]()
            if number >= 200:  # warm
                taken[which].append(time.perf_counter_ns() - began)
    return taken


def p_value(first: Sequence[int], second: Sequence[int]) -> float:
    """Mann-Whitney, two-sided, by the normal approximation: how probable such a difference is by chance."""
    ordered = sorted(second)
    above = sum((bisect_left(ordered, one) + bisect_right(ordered, one)) / 2 for one in first)
    mean = len(first) * len(second) / 2
    deviation = math.sqrt(len(first) * len(second) * (len(first) + len(second) + 1) / 12)
    return math.erfc(abs(above - mean) / deviation / math.sqrt(2))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=20_000)
    right = bytearray(hmac.digest(SECRET.encode(), BODY, hashlib.sha256))
    first_byte, last_byte = bytearray(right), bytearray(right)
    first_byte[0] ^= 1
    last_byte[-1] ^= 1
    runs = [refusal(bytes(first_byte)), refusal(bytes(last_byte))]
    first, last = measure(runs, parser.parse_args().samples)
    difference = statistics.median(last) - statistics.median(first)
    p = p_value(first, last)
    is_good = abs(difference) < LARGEST_NS or p > SMALLEST_P
    print(f"first byte wrong: {statistics.median(first):.0f} ns, last byte: {statistics.median(last):.0f} ns")
    print(f"difference {difference:+.0f} ns, p = {p:.3f}: {'nothing to learn' if is_good else 'IT TELLS'}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
