import pytest

from sgtm.observability.metrics import MAX_LABELS, OTHERS, Counters
from sgtm.observability.names import BOUNDS_S, METRICS


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


def test_a_bucket_holds_its_bound_and_labels_beyond_the_most_are_others():
    counters = Counters()
    counters.observe("sgtm_outbox_commit_seconds", BOUNDS_S[0])
    (first, second, *_) = counters.histogram_samples()
    assert (first.label, first.value, second.value) == ("0.005", 1, 1)
    for number in range(MAX_LABELS + 10):
        counters.observe("sgtm_delivery_seconds", 1.0, f"https://{number}.example:443")
    counts = {one.label: one.value for one in counters.histogram_samples() if one.name.endswith("s_count")}
    assert len(counts) == 1 + MAX_LABELS + 1  # that of the outbox, and the others
    assert counts[OTHERS] == 10
