"""Counts and histograms: the compiled ones count as their plain twins do."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from reference import counters as twin

from sgtm._fast import counters as fast

BOUNDS = (0.001, 0.01, 0.5, 2.0)
LABELS = st.sampled_from(["", "a", "b", "c", "Ω"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["hits", "bytes"]), LABELS, st.integers(0, 2**70) | st.floats(0, 1e9))
)


def made(module):
    class Bounded(module.Counts):
        def label_of(self, name, label):
            return label if len(self.values[name]) < 2 else "others"

        def histogram_of(self, name, label):
            label = label if len(self.histograms[name]) < 2 else "others"
            return self.histograms[name].setdefault(label, module.Histogram(BOUNDS))

    return Bounded({"hits": {}, "bytes": {"": 0}}, {"seconds": {}})


@given(STEPS)
def test_both_count_alike(steps) -> None:
    ours, its = made(fast), made(twin)
    for name, label, amount in steps:
        ours.add(name, label, amount)
        its.add(name, label, amount)
    assert ours.values == its.values
    assert sum(len(counts) for counts in ours.values.values()) <= 6  # two, and `others`, of each


@given(st.lists(st.tuples(LABELS, st.sampled_from([*BOUNDS, 0.0, 5.0]) | st.floats(0, 10))))
@example([("a", BOUNDS[0]), ("a", math.nextafter(BOUNDS[0], 1)), ("a", 2.0), ("a", 2.1)])
def test_both_fill_the_same_buckets(steps) -> None:
    ours, its = made(fast), made(twin)
    for label, seconds in steps:
        ours.observe("seconds", seconds, label)
        its.observe("seconds", seconds, label)
    told = [
        {label: (one.counts, one.sum_s) for label, one in both.histograms["seconds"].items()}
        for both in (ours, its)
    ]
    assert told[0] == told[1]


def test_a_name_that_nobody_declared_is_a_key_error() -> None:
    counts = made(fast)
    with pytest.raises(KeyError):
        counts.add("misses")
    with pytest.raises(KeyError):
        counts.observe("minutes", 1.0)


def test_who_allows_no_label_is_asked_to() -> None:
    counts = fast.Counts({"hits": {}}, {"seconds": {}})
    with pytest.raises(NotImplementedError):
        counts.add("hits", "a")
    with pytest.raises(NotImplementedError):
        counts.observe("seconds", 1.0, "a")
    assert counts.values == {"hits": {}}


def test_a_histogram_has_32_bounds_at_most() -> None:
    assert len(fast.Histogram(tuple(range(32))).counts) == 33
    with pytest.raises(ValueError, match="32"):
        fast.Histogram(tuple(range(33)))
