"""Plain integer counters; nothing on the hot path but one dict update."""

from collections.abc import Mapping, Sequence

from sgtm.observability.exposition import Sample
from sgtm.observability.names import METRICS


class Counters:
    """Counts by metric name and label value. Every name is declared in `names.py`."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, int]] = {
            name: {} if label else {"": 0} for name, (label, _) in METRICS.items()
        }

    def add(self, name: str, label: str = "", amount: int = 1) -> None:
        """Count `amount` more of `name`. Raises KeyError for a name that nobody declared."""
        values = self._values[name]
        values[label] = values.get(label, 0) + amount

    def value(self, name: str, label: str = "") -> int:
        """What was counted so far."""
        return self._values[name].get(label, 0)

    def snapshot(self) -> dict[tuple[str, str], int]:
        """All counters by (name, label)."""
        return {
            (name, label): value for name, values in self._values.items() for label, value in values.items()
        }

    def zeros(self, names: Mapping[str, Sequence[str]]) -> list[Sample]:
        """What could be counted and was not: a sample at 0 for each name of a label whose values are
        known beforehand, `{"tag": [...]}`."""
        return [
            Sample(name, value, 0)
            for name, (label, _) in METRICS.items()
            for value in names.get(label, ())
            if value not in self._values[name]
        ]
