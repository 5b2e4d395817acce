"""Counts by metric name and label, and histograms: what a hit updates."""

from typing_extensions import disjoint_base

@disjoint_base
class Histogram:
    """How long something took, counted by bucket: `bounds` are upper ends in seconds (a value on a bound is
    below it), at most 32; what is above the last one has a bucket of its own."""

    counts: list[int]
    sum_s: float
    def __init__(self, bounds: tuple[float, ...]) -> None: ...

@disjoint_base
class Counts:
    """Counts that exist are updated here; what is new is for the class below to allow."""

    values: dict[str, dict[str, float]]
    """Metric name -> label -> count."""
    histograms: dict[str, dict[str, Histogram]]
    def __init__(
        self, values: dict[str, dict[str, float]], histograms: dict[str, dict[str, Histogram]]
    ) -> None: ...
    def add(self, name: str, label: str = "", amount: float = 1) -> None:
        """Count `amount` more of `name`. Raises KeyError for a name that nobody declared."""

    def observe(self, name: str, seconds: float, label: str = "") -> None:
        """Something took so long. Raises KeyError for a histogram that nobody declared."""

    def label_of(self, name: str, label: str) -> str:
        """Under which label something is counted that was not counted before."""

    def histogram_of(self, name: str, label: str) -> Histogram:
        """The histogram of a label that had none."""
