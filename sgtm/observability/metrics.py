"""Plain integer counters; nothing on the hot path but one dict update."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from sgtm.observability.exposition import Sample
from sgtm.observability.names import BOUNDS_S, CLOSED, HISTOGRAMS, METRICS, MOST, RARE

MAX_LABELS = 12
"""Of a histogram, which is many series."""
OTHERS = "others"
"""The label of all those beyond the most that there may be."""
_BUCKETS = (*(f"{bound:g}" for bound in BOUNDS_S), "+Inf")


class Histogram:
    """How long something took, counted by bucket."""

    def __init__(self) -> None:
        self.counts = [0] * len(_BUCKETS)
        self.sum_s = 0.0

    def samples(self, name: str, label: str) -> Iterator[Sample]:
        """Under the three names that Prometheus expects, each bucket with all below it."""
        for bucket, count in zip(_BUCKETS, accumulate(self.counts), strict=True):
            yield Sample(f"{name}_bucket", f"{label}/{bucket}" if label else bucket, count)
        yield Sample(f"{name}_sum", label, self.sum_s)
        yield Sample(f"{name}_count", label, sum(self.counts))


def _bounded(name: str, label: str, count: int) -> str:
    """The label under which something new is counted when there are `count` already. Of two labels the
    second one, whose values the code names, stays."""
    of = METRICS[name][0]
    if count < MOST.get(of, count + 1):
        return label
    return f"{OTHERS}/{label.rpartition('/')[2]}" if "/" in of else OTHERS


class Counters:
    """Counts by metric name and label value. Every name is declared in `names.py`."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, float]] = {
            name: {} if label else {"": 0} for name, (label, _) in METRICS.items()
        }
        self._histograms: dict[str, dict[str, Histogram]] = {
            name: {} if label else {"": Histogram()} for name, (label, _) in HISTOGRAMS.items()
        }

    def add(self, name: str, label: str = "", amount: float = 1) -> None:
        """Count `amount` more of `name`. Raises KeyError for a name that nobody declared."""
        values = self._values[name]
        count = values.get(label)
        if count is None:
            label = _bounded(name, label, len(values))
            count = values.get(label, 0)
        values[label] = count + amount

    def counts(self, name: str) -> dict[str, float]:
        """All that was counted of `name`, by label, as it goes on. Who counts for each hit adds by himself to
        a label that is in here; a new one is for `add`. Raises KeyError for a name that nobody declared."""
        return self._values[name]

    def observe(self, name: str, seconds: float, label: str = "") -> None:
        """Something took so long. Raises KeyError for a histogram that nobody declared."""
        histograms = self._histograms[name]
        one = histograms.get(label)
        if one is None:
            label = label if len(histograms) < MAX_LABELS else OTHERS
            one = histograms.setdefault(label, Histogram())
        one.counts[bisect_left(BOUNDS_S, seconds)] += 1
        one.sum_s += seconds

    def value(self, name: str, label: str = "") -> float:
        """What was counted so far."""
        return self._values[name].get(label, 0)

    def snapshot(self) -> dict[tuple[str, str], float]:
        """All counters by (name, label)."""
        return {
            (name, label): value for name, values in self._values.items() for label, value in values.items()
        }

    def histogram_samples(self) -> Iterator[Sample]:
        """All histograms."""
        for name, histograms in self._histograms.items():
            for label, one in histograms.items():
                yield from one.samples(name, label)

    def zeros(self, names: Mapping[str, Sequence[str]]) -> list[Sample]:
        """What could be counted and was not: a sample at 0 for each name of a label whose values are
        known beforehand, `{"tag": [...]}`."""
        return [
            Sample(name, value, 0)
            for name, (label, _) in METRICS.items()
            for value in CLOSED.get(name, () if name in RARE else names.get(label, ()))
            if value not in self._values[name]
        ]
