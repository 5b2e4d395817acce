"""The processor's time of one run: its limit `cpu_ms`.

Steps bound what a run does, and this what it costs, since no step costs the same everywhere.
SPEC: reliability 4.2.
"""

from collections.abc import Callable

from sgtm._fast.sandbox_values import LimitError


class ProcessorTime:
    """Ends a run that has had the processor for too long. The run calls it about every 1,000 steps.

    Time counts from the first look on, so a run of fewer steps never asks the clock, which costs as much as
    fifty steps. Who goes on with a run that has waited sets `looked_at` to None: what others did in between
    is not the run's.
    """

    def __init__(self, limit_ms: int, clock: Callable[[], float]) -> None:
        """`clock`: seconds that this thread has had of the processor."""
        self._left_s, self._clock = limit_ms / 1_000, clock
        self.looked_at: float | None = None

    def __call__(self) -> None:
        """Look. Raises LimitError."""
        now = self._clock()
        if self.looked_at is not None:
            self._left_s -= now - self.looked_at
        self.looked_at = now
        if self._left_s < 0:
            raise LimitError("cpu_ms", "the run takes too long")
