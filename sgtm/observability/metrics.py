"""Plain integer counters; nothing on the hot path but one dict update."""

from sgtm.observability.names import METRICS


class Counters:
    """Counts by (metric name, label value). Every name is declared in `names.py`."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], int] = {
            (name, ""): 0 for name, (label, _) in METRICS.items() if not label
        }

    def add(self, name: str, label: str = "", amount: int = 1) -> None:
        """Count `amount` more of `name`."""
        key = (name, label)
        self._values[key] = self._values.get(key, 0) + amount

    def value(self, name: str, label: str = "") -> int:
        """What was counted so far."""
        return self._values.get((name, label), 0)

    def snapshot(self) -> dict[tuple[str, str], int]:
        """A copy of all counters."""
        return dict(self._values)
