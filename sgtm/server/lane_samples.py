"""Gauges of the lanes: what each destination is owed, how old it is, and whether anything leaves."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from sgtm.delivery.outbox.held import Held, Hold
from sgtm.delivery.standing import LaneState
from sgtm.observability.exposition import Sample
from sgtm.observability.metrics import MAX_LABELS, OTHERS


class _Lane(Struct):
    """One destination, whatever the credential."""

    queued: int = 0
    in_flight: int = 0
    oldest_s: float = 0.0
    is_shut: bool = False

    def add(self, queued: int, in_flight: int, oldest_s: float, is_shut: bool) -> None:
        """Something more that goes there."""
        self.queued += queued
        self.in_flight += in_flight
        self.oldest_s = max(self.oldest_s, oldest_s)
        self.is_shut = self.is_shut or is_shut


def lane_samples(states: Iterable[LaneState], holds: Mapping[Hold, Held], now_s: float) -> list[Sample]:
    """Samples of the destinations, and of those that only records in the outbox wait for. Of many, the ones
    that are in trouble stand under their names, the rest together."""
    lanes: dict[str, _Lane] = {}
    for state in states:
        is_shut = state.state == "shut" or bool(state.refused_tags)
        lane = lanes.setdefault(state.destination, _Lane())
        lane.add(state.queued, state.in_flight, state.oldest_s, is_shut)
    for hold, held in holds.items():
        lane = lanes.setdefault(_name(hold), _Lane())
        lane.add(0, 0, max(0.0, now_s - (held.oldest_micros or now_s * 1e6) / 1e6), False)
    ordered = sorted(lanes, key=lambda name: (-lanes[name].oldest_s, not lanes[name].is_shut, name))
    named = {name: lanes[name] for name in ordered[:MAX_LABELS]}
    for name in ordered[MAX_LABELS:]:
        one = lanes[name]
        named.setdefault(OTHERS, _Lane()).add(one.queued, one.in_flight, one.oldest_s, one.is_shut)
    return [sample for name, lane in named.items() for sample in _samples(name, lane)]


def _samples(name: str, lane: _Lane) -> Iterable[Sample]:
    yield Sample("sgtm_lane_queued", name, lane.queued)
    yield Sample("sgtm_lane_in_flight", name, lane.in_flight)
    yield Sample("sgtm_lane_oldest_seconds", name, lane.oldest_s)
    yield Sample("sgtm_lane_shut", name, int(lane.is_shut))


def _name(hold: Hold) -> str:
    """As lanes name themselves; what waits for no lane in particular has none."""
    key = hold.destination
    return f"{key[0]}://{key[1]}:{key[2]}" if isinstance(key, tuple) and len(key) > 2 else OTHERS
