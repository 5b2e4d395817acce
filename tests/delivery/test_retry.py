import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgtm.delivery.retry import BASE_S, CAP_S, RetryBudget, backoff_s, retry_after_s

# SPEC: reliability 1.3 Lanes for every number here.
NOW_S = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT (RFC 9110's own example)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_is_full_jitter_below_a_doubling_bound(attempts, chance):
    bound = min(CAP_S, BASE_S * 2 ** min(attempts - 1, 20))
    assert 0 <= backoff_s(attempts, chance) <= bound
    assert backoff_s(attempts, 1.0) == bound


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("99999999999999", 3_600.0),
        ("Wed, 21 Oct 2015 07:30:00 GMT", 120.0),
        ("Wednesday, 21-Oct-15 07:30:00 GMT", 120.0),
        ("Wed Oct 21 07:30:00 2015", 120.0),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0.0),
        ("Wed, 21 Oct 2095 07:00:00 GMT", 3_600.0),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
        ("", None),
    ],
)
def test_retry_after_reads_seconds_and_dates_and_is_bounded(value, expected):
    assert retry_after_s(value, NOW_S) == expected


@given(st.text())
def test_no_retry_after_raises_or_asks_for_more_than_an_hour(value):
    seconds = retry_after_s(value, NOW_S)
    assert seconds is None or 0 <= seconds <= 3_600


def test_failing_retries_stay_below_a_fifth_of_the_successes_once_the_reserve_is_used():
    budget = RetryBudget(0.0)
    while budget.take(0.0):
        pass
    for _ in range(1_000):
        budget.succeeded(is_retry=False)
    assert sum(budget.take(0.0) for _ in range(1_000)) == 100  # the reserve's capacity bounds 200
    for _ in range(50):
        budget.succeeded(is_retry=False)
    assert sum(budget.take(0.0) for _ in range(1_000)) in (9, 10)


def test_a_backlog_leaves_as_fast_as_its_retries_succeed():
    budget = RetryBudget(0.0)
    for _ in range(10_000):
        assert budget.take(0.0)
        budget.succeeded(is_retry=True)


def test_a_quiet_lane_may_still_retry_once_a_second():
    budget = RetryBudget(0.0)
    while budget.take(0.0):
        pass
    assert not budget.take(0.5)
    assert budget.take(1.1)
