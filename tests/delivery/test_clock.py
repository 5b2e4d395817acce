import time

import pytest

from sgtm.delivery.clock import steady_micros

# SPEC: reliability 1.4 fault 12: clock jumps of +1 h, -1 h, +40 days; nothing is burned.
HOUR_NS = 3_600 * 10**9


@pytest.mark.parametrize("jump_ns", [HOUR_NS, 40 * 24 * HOUR_NS])
def test_a_clock_that_is_set_forward_makes_nothing_older(monkeypatch, jump_ns):
    now = time.time_ns
    monkeypatch.setattr("sgtm.delivery.clock.time.time_ns", lambda: now() + jump_ns)
    assert abs(steady_micros() - now() // 1_000) < 60_000_000


def test_a_clock_that_is_set_back_is_believed_so_that_what_comes_now_is_not_old(monkeypatch):
    now = time.time_ns
    monkeypatch.setattr("sgtm.delivery.clock.time.time_ns", lambda: now() - HOUR_NS)
    assert abs(steady_micros() - now() // 1_000 + HOUR_NS // 1_000) < 60_000_000
