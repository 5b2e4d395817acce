"""The statistics of `make timing` see a difference where there is one, and none where there is none."""

import random

import pytest
from signature_timing import LARGEST_NS, SMALLEST_P, measure, p_value, refusal


@pytest.mark.parametrize("ns", [0, 2_000])
def test_a_difference_is_seen(ns: int) -> None:
    chance = random.Random(7)
    first = [chance.gauss(20_000, 3_000) for _ in range(2_000)]
    second = [chance.gauss(20_000 + ns, 3_000) for _ in range(2_000)]
    assert (p_value(first, second) < SMALLEST_P) == (ns > LARGEST_NS)


def test_refusals_are_timed_in_turns() -> None:
    taken = measure([refusal(bytes(32)), refusal(b"\1" * 32)], 3)
    assert [len(one) for one in taken] == [3, 3]
    assert min(min(one) for one in taken) > 0
