"""Prometheus text over several workers (SPEC: reliability 6, metrics)."""

import re

from sgtm.observability.exposition import Sample, merge, only_grows, render
from sgtm.observability.metrics import Counters
from sgtm.observability.names import BOUNDS_S, GAUGES, METRICS

LINE = re.compile(r'[a-z_]+(\{[a-z_]+="(\\.|[^"\\])*"(,[a-z_]+="(\\.|[^"\\])*")*\})? [0-9.e+-]+')


def test_counters_are_added_and_gauges_as_they_are_declared() -> None:
    first = [Sample("sgtm_tags_fired_total", "GA4", 2), Sample("sgtm_event_loop_lag_seconds", "", 0.5)]
    second = [Sample("sgtm_tags_fired_total", "GA4", 3), Sample("sgtm_event_loop_lag_seconds", "", 0.25)]
    third = [Sample("sgtm_tags_fired_total", "Meta", 1), Sample("sgtm_connections", "", 7)]
    assert merge([first, second, third, third]) == {
        ("sgtm_tags_fired_total", "GA4"): 5,
        ("sgtm_tags_fired_total", "Meta"): 2,
        ("sgtm_event_loop_lag_seconds", ""): 0.5,
        ("sgtm_connections", ""): 14,
    }


def test_what_a_newer_worker_counts_is_left_out() -> None:
    assert merge([[Sample("sgtm_of_tomorrow_total", "", 1)]]) == {}


def test_every_counter_is_there_at_0_from_the_start() -> None:
    lines = render({}).splitlines()
    for name in METRICS:
        assert f"{name} 0" in lines
        assert f"# TYPE {name} counter" in lines
    assert {f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}" for name in GAUGES} <= set(
        lines
    )


def test_what_is_known_beforehand_is_there_at_0_under_its_own_name() -> None:
    counters = Counters()
    counters.add("sgtm_tags_fired_total", "GA4")
    zeros = counters.zeros({"tag": ["GA4", "Meta"]})
    assert Sample("sgtm_tags_fired_total", "Meta", 0) in zeros
    assert Sample("sgtm_tags_failed_total", "GA4", 0) in zeros
    assert not any(one.name == "sgtm_tags_fired_total" and one.label == "GA4" for one in zeros)


def test_the_text_is_what_prometheus_reads() -> None:
    # https://prometheus.io/docs/instrumenting/exposition_formats/: \\, \n and \" in label values
    evil = 'a "tag"\nwith \\ all'
    text = render(
        {
            ("sgtm_tags_fired_total", evil): 3,
            ("sgtm_match_keys_total", "a/b/em"): 1,
            ("sgtm_event_loop_lag_seconds", ""): 0.25,
        }
    )
    assert 'sgtm_tags_fired_total{tag="a \\"tag\\"\\nwith \\\\ all"} 3\n' in text
    assert 'sgtm_match_keys_total{tag="a/b",key="em"} 1\n' in text
    assert "sgtm_event_loop_lag_seconds 0.25\n" in text
    samples = [line for line in text.splitlines() if not line.startswith("# ")]
    assert [line for line in samples if not LINE.fullmatch(line)] == []


def test_a_histogram_is_added_over_workers_and_said_as_prometheus_reads_it() -> None:
    # exposition format: buckets are cumulative, in increasing order of le, and the last one is the count
    workers = [Counters(), Counters()]
    for counters, seconds in zip(workers, (0.003, 0.3), strict=True):
        counters.observe("sgtm_delivery_seconds", seconds, "https://a.example:443")
        counters.observe("sgtm_delivery_seconds", 30.0, "https://a.example:443")
    samples = [list(counters.histogram_samples()) for counters in workers]
    assert all(only_grows(one.name) for part in samples for one in part)
    lines = render(merge(samples)).splitlines()
    start = lines.index("# TYPE sgtm_delivery_seconds histogram") + 1
    counts = dict(zip((*map("{:g}".format, BOUNDS_S), "+Inf"), (0, 1, 1, 1, 1, 1, 2, 2, 2, 4), strict=True))
    of = 'destination="https://a.example:443"'
    assert lines[start : start + 12] == [
        *(f'sgtm_delivery_seconds_bucket{{{of},le="{bound}"}} {count}' for bound, count in counts.items()),
        f"sgtm_delivery_seconds_sum{{{of}}} 60.303",
        f"sgtm_delivery_seconds_count{{{of}}} 4",
    ]
    assert 'sgtm_outbox_commit_seconds_bucket{le="+Inf"} 0' in lines
    assert "sgtm_outbox_commit_seconds_count 0" in lines
