"""Plain integer counters; nothing on the hot path but one dict update."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from sgtm._fast.counters import Counts, Histogram
from sgtm.observability.exposition import Sample
from sgtm.observability.names import BOUNDS_S, CLOSED, HISTOGRAMS, METRICS, MOST, RARE

MAX_LABELS = 12
"""Of a histogram, which is many series."""
OTHERS = "others"
"""The label of all those beyond the most that there may be."""
_BUCKETS = (*(f"{bound:g}" for bound in BOUNDS_S), "+Inf")


def _samples(name: str, label: str, one: Histogram) -> Iterator[Sample]:
    """A histogram under the three names that Prometheus expects, each bucket with all below it."""
    for bucket, count in zip(_BUCKETS, accumulate(one.counts), strict=True):
        yield Sample(f"{name}_bucket", f"{label}/{bucket}" if label else bucket, count)
    yield Sample(f"{name}_sum", label, one.sum_s)
    yield Sample(f"{name}_count", label, sum(one.counts))


def _bounded(name: str, label: str, count: int) -> str:
    """The label under which something new is counted when there are `count` already. Of two labels the
    second one, whose values the code names, stays."""
    of = METRICS[name][0]
    if count < MOST.get(of, count + 1):
        return label
    return f"{OTHERS}/{label.rpartition('/')[2]}" if "/" in of else OTHERS


class Counters(Counts):
    """Counts by metric name and label value. Every name is declared in `names.py`."""

    def __init__(self) -> None:
        super().__init__(
            {name: {} if label else {"": 0} for name, (label, _) in METRICS.items()},
            {name: {} if label else {"": Histogram(BOUNDS_S)} for name, (label, _) in HISTOGRAMS.items()},
        )

    def label_of(self, name: str, label: str) -> str:
        """The same, or `others` where there are too many."""
        return _bounded(name, label, len(self.values[name]))

    def counts(self, name: str) -> dict[str, float]:
        """All that was counted of `name`, by label, as it goes on. Who counts for each hit adds by himself to
        a label that is in here; a new one is for `add`. Raises KeyError for a name that nobody declared."""
        return self.values[name]

    def histogram_of(self, name: str, label: str) -> Histogram:
        """A new one, or that of `others` where there are too many."""
        histograms = self.histograms[name]
        label = label if len(histograms) < MAX_LABELS else OTHERS
        return histograms.setdefault(label, Histogram(BOUNDS_S))

    def value(self, name: str, label: str = "") -> float:
        """What was counted so far."""
        return self.values[name].get(label, 0)

    def snapshot(self) -> dict[tuple[str, str], float]:
        """All counters by (name, label)."""
        return {
            (name, label): value for name, values in self.values.items() for label, value in values.items()
        }

    def histogram_samples(self) -> Iterator[Sample]:
        """All histograms."""
        for name, histograms in self.histograms.items():
            for label, one in histograms.items():
                yield from _samples(name, label, one)

    def zeros(self, names: Mapping[str, Sequence[str]]) -> list[Sample]:
        """What could be counted and was not: a sample at 0 for each name of a label whose values are
        known beforehand, `{"tag": [...]}`."""
        return [
            Sample(name, value, 0)
            for name, (label, _) in METRICS.items()
            for value in CLOSED.get(name, () if name in RARE else names.get(label, ()))
            if value not in self.values[name]
        ]
