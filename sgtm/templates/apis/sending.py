"""How a request leaves a template, and how its answer comes back (`_fast/sandbox_sending.pyx`).

SPEC: sandbox-api 1.4.
"""

from sgtm._fast.sandbox_sending import Lines, Rejection
from sgtm.messages import Ask, Failed

__all__ = ["DEFAULT_TIMEOUT_S", "LINES", "MAX_TIMEOUT_S", "Rejection"]

DEFAULT_TIMEOUT_S, MAX_TIMEOUT_S = 5.0, 15.0
"""SPEC: reliability 4.2: a promise is rejected after 5 s, or after the time-out that the call itself names,
up to 15 s."""

LINES = Lines(Ask, Failed)
"""How requests of all runs leave: `promised`, `settle`, `count_call`."""
