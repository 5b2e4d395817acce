"""Gauges of destinations (SPEC: reliability 6, alerts: the oldest queued event per lane)."""

from typing import Any

from sgtm.delivery.outbox.held import Held, Hold
from sgtm.delivery.standing import LaneState
from sgtm.observability.metrics import MAX_LABELS, OTHERS
from sgtm.server.lane_samples import lane_samples

NOW_S = 1_800_000_000.0


def state(destination: str, credential: str = "", **told: Any) -> LaneState:
    plain = {"state": "open", "reason": "", "next_try_in_s": 0.0, "queued": 0, "in_flight": 0}
    return LaneState(destination, credential, **{**plain, **told})


def values(*args: Any) -> dict[tuple[str, str], float]:
    return {(one.name, one.label): one.value for one in lane_samples(*args)}


def test_lanes_of_one_destination_are_one_whatever_their_credential() -> None:
    lanes = [state("https://a.example:443", "one", queued=2, oldest_s=5.0)]
    lanes += [state("https://a.example:443", "two", queued=3, in_flight=1, oldest_s=700.0, state="shut")]
    assert values(lanes, {}, NOW_S) == {
        ("sgtm_lane_queued", "https://a.example:443"): 5,
        ("sgtm_lane_in_flight", "https://a.example:443"): 1,
        ("sgtm_lane_oldest_seconds", "https://a.example:443"): 700.0,
        ("sgtm_lane_shut", "https://a.example:443"): 1,
    }


def test_a_destination_that_refuses_one_tag_counts_as_shut() -> None:
    said = values([state("https://a.example:443", refused_tags=("Meta",))], {}, NOW_S)
    assert said["sgtm_lane_shut", "https://a.example:443"] == 1


def test_what_waits_in_the_outbox_has_the_age_of_its_oldest_record() -> None:
    held = Held()
    held.add(1, 1, int((NOW_S + 60) * 1e6), int((NOW_S - 900) * 1e6))
    held.add(2, 1, int((NOW_S + 10) * 1e6), int((NOW_S - 30) * 1e6))
    holds = {Hold("Send", ("https", "a.example", 443, None)): held, Hold("Gone", ()): held}
    said = values([state("https://a.example:443", oldest_s=1.0)], holds, NOW_S)
    assert round(said["sgtm_lane_oldest_seconds", "https://a.example:443"]) == 900
    held.take()  # what expires first
    held.take()
    assert values([], holds, NOW_S)["sgtm_lane_oldest_seconds", OTHERS] == 0


def test_of_many_destinations_those_in_trouble_stand_under_their_names() -> None:
    lanes = [state(f"https://{number:03}.example:443", queued=1) for number in range(100)]
    lanes[90] = state("https://090.example:443", oldest_s=50.0)
    lanes[95] = state("https://095.example:443", state="shut")
    said = values(lanes, {}, NOW_S)
    named = [label for name, label in said if name == "sgtm_lane_queued"]
    assert len(named) == MAX_LABELS + 1
    assert named[:2] == ["https://090.example:443", "https://095.example:443"]
    assert said["sgtm_lane_queued", OTHERS] == 98 - (MAX_LABELS - 2)
