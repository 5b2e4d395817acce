"""What happened between two looks at a server: rates and quantiles of what it counted."""

from collections.abc import Iterator

from sgtm.observability.exposition import Sample
from sgtm.observability.names import BOUNDS_S
from sgtm.server.admin_health import Overview

_BUCKETS = [*(f"{bound:g}" for bound in BOUNDS_S), "+Inf"]


class Interval:
    """From one overview to a later one of the same server. A counter that went back began anew."""

    def __init__(self, before: Overview, after: Overview) -> None:
        self.before, self.after = before, after
        self.seconds = max(after.at_s - before.at_s, 1e-3)
        self._before, self._after = _values(before.samples), _values(after.samples)

    def now(self, name: str, label: str = "") -> float | None:
        """A value of this moment; None where there is none."""
        return self._after.get(name, {}).get(label)

    def total(self, name: str) -> float:
        """The same over all labels."""
        return sum(self._after.get(name, {}).values())

    def rate(self, name: str, label: str = "", *, ends: str = "") -> float:
        """How often a second: of one label, or of all that end so (all, where neither is given)."""
        labels = [label] if label else [one for one in self._after.get(name, {}) if one.endswith(ends)]
        return sum(self._growth(name, one) for one in labels) / self.seconds

    def labels(self, name: str) -> Iterator[str]:
        """Labels that a metric has."""
        return (label for label in self._after.get(name, {}) if label)

    def quantile_s(self, share: float, name: str, label: str = "") -> float | None:
        """The time within which this share stayed, as Prometheus reckons it; over all labels or of one. None:
        nothing happened; infinite: it lies above the last bucket."""
        begin = f"{label}/" if label else ""
        counts = [
            sum(
                self._growth(f"{name}_bucket", one)
                for one in self._after.get(f"{name}_bucket", {})
                if one.startswith(begin) and one.rpartition("/")[2] == bucket
            )
            for bucket in _BUCKETS
        ]
        rank = share * counts[-1]
        if not rank:
            return None
        position = next(number for number, count in enumerate(counts) if count >= rank)
        if position == len(BOUNDS_S):
            return float("inf")
        below, low = (counts[position - 1], BOUNDS_S[position - 1]) if position else (0.0, 0.0)
        return low + (BOUNDS_S[position] - low) * (rank - below) / (counts[position] - below)

    def _growth(self, name: str, label: str) -> float:
        before = self._before.get(name, {}).get(label, 0.0)
        after = self._after.get(name, {}).get(label, 0.0)
        return after - before if after >= before else after


def _values(samples: list[Sample]) -> dict[str, dict[str, float]]:
    values: dict[str, dict[str, float]] = {}
    for sample in samples:
        values.setdefault(sample.name, {})[sample.label] = sample.value
    return values
