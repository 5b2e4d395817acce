import pytest

from sgtm.observability.metrics import Counters
from sgtm.observability.names import METRICS


def test_counts_are_kept_by_name_and_label_and_unlabelled_ones_exist_from_the_start():
    counters = Counters()
    unlabelled = {(name, ""): 0 for name, (label, _) in METRICS.items() if not label}
    assert counters.snapshot() == unlabelled
    assert ("sgtm_requests_unclaimed_total", "") in unlabelled
    counters.add("sgtm_tags_fired_total", "GA4")
    counters.add("sgtm_tags_fired_total", "GA4", 2)
    counters.add("sgtm_requests_unclaimed_total")
    assert counters.value("sgtm_tags_fired_total", "GA4") == 3
    assert counters.value("sgtm_tags_fired_total", "Meta") == 0
    assert counters.snapshot()["sgtm_requests_unclaimed_total", ""] == 1


def test_a_name_that_nobody_declared_is_a_mistake():
    with pytest.raises(KeyError):
        Counters().add("sgtm_tags_fried_total", "GA4")
