import pytest

from sgtm.observability.metrics import MAX_LABELS, OTHERS, Counters
from sgtm.observability.names import BOUNDS_S, METRICS, RARE


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
    assert (first.label, first.value, second.value) == ("0.001", 1, 1)
    for number in range(MAX_LABELS + 10):
        counters.observe("sgtm_delivery_seconds", 1.0, f"https://{number}.example:443")
    counts = {one.label: one.value for one in counters.histogram_samples() if one.name.endswith("s_count")}
    assert len(counts) == 1 + MAX_LABELS + 1  # that of the outbox, and the others
    assert counts[OTHERS] == 10


def test_what_visitors_choose_is_bounded_and_counted_together_beyond_that():
    # SPEC: reliability 6, metrics: labels from closed sets
    counters = Counters()
    for number in range(100):
        counters.add("sgtm_measurement_id_events_total", f"G-{number}")
        counters.add("sgtm_match_keys_total", f"a/b {number}/em")
        counters.add("sgtm_attempts_total", f"https://{number}.example:443/failed", 2)
    counts = counters.snapshot()
    for name, most in (("sgtm_measurement_id_events_total", 30), ("sgtm_match_keys_total", 60)):
        assert sum(1 for of, _ in counts if of == name) == most + 1
    assert counts["sgtm_measurement_id_events_total", OTHERS] == 70
    assert counts["sgtm_match_keys_total", f"{OTHERS}/em"] == 40
    assert counts["sgtm_attempts_total", f"{OTHERS}/failed"] == 2 * 76
    counters.add("sgtm_measurement_id_events_total", "G-7")
    assert counters.value("sgtm_measurement_id_events_total", "G-7") == 2


def test_what_is_rarely_counted_has_no_series_at_0_for_each_tag():
    named = {one.name for one in Counters().zeros({"tag": ["GA4"]})}
    assert named & RARE == set()
    assert "sgtm_deliveries_dead_total" in named
