"""Fire: what tags cost that do not fire, and what patterns cost.

`python -m benchmarks.fire [rounds]`. Whole hits from the request to the answer, deliveries settled at once.
The yardstick has three tags, and all of them fire. Right is a hit of which exactly these three fire.
"""

from collections.abc import Iterator

from benchmarks.hits import make_hits, request_of
from benchmarks.interleaved import Contender, compare, rounds_asked
from sgtm.container.compile import compile_container
from sgtm.container.container import Container
from sgtm.container.model import Client, ConsentPolicy, ContainerVersion, Tag
from sgtm.delivery.lanes import Delivery
from sgtm.delivery.outbox.memory import MemoryOutbox
from sgtm.messages import DONE, IncomingRequest
from sgtm.observability.metrics import Counters
from sgtm.pipeline import Pipeline
from sgtm.triggers.condition import Condition
from sgtm.triggers.trigger import CustomEvent, Trigger

MATCHING = 3
OTHERS = 197
PURCHASES = CustomEvent("Purchases", ("purchase",))


class Counted:
    """Lanes without a network: every delivery has arrived, and is counted."""

    def __init__(self) -> None:
        self.count = 0

    def deliver(self, delivery: Delivery) -> None:
        """Settle it."""
        self.count += 1
        delivery.on_settled(DONE)


def container_with(others: list[Trigger]) -> Container:
    """Three tags that fire on purchases, and one tag more for each of the triggers."""
    parameters = {"url": "https://vendor.example/{{Page Path}}"}
    tags = [Tag(f"tag {number}", "http_request", ("Purchases",)) for number in range(MATCHING)]
    tags += [Tag(trigger.name, "http_request", (trigger.name,)) for trigger in others]
    return compile_container(
        ContainerVersion(
            consent=ConsentPolicy("granted", "declared"),
            clients=(Client("GA4", "ga4"),),
            triggers=(PURCHASES, *others),
            tags=tuple(Tag(tag.name, tag.type, tag.firing_triggers, parameters=parameters) for tag in tags),
        )
    )


def by_name(count: int) -> list[Trigger]:
    """Triggers of other events."""
    return [CustomEvent(f"event {number}", (f"event_{number}",)) for number in range(count)]


def by_condition(operator: str, pattern: str, count: int, value: str = "{{Page Path}}") -> list[Trigger]:
    """Triggers of the same event whose condition does not hold."""
    conditions = [Condition(value, operator, pattern.format(number)) for number in range(count)]  # type: ignore[arg-type]
    return [
        CustomEvent(f"condition {number}", ("purchase",), (condition,))
        for number, condition in enumerate(conditions)
    ]


CONTAINERS = {
    "3 tags": [],
    "200 by event name": by_name(OTHERS),
    "200 by client and name": by_condition("contains", "client {}", OTHERS, "{{Client Name}}"),
    "200 by path, equal": by_condition("equals", "/page/{}", OTHERS),
    "200 by path, pattern": by_condition("matches_regex", "^/page[0-9]*/{}$", OTHERS),
}
PATTERNS = {
    "1 pattern": by_condition("matches_regex", "^/page[0-9]*/{}$", 1),
    "100 patterns": by_condition("matches_regex", "^/page[0-9]*/{}$", 100),
}


def contenders(containers: dict[str, list[Trigger]]) -> Iterator[tuple[Contender[IncomingRequest], Counted]]:
    """A pipeline for each container."""
    for name, triggers in containers.items():
        lanes = Counted()
        pipeline = Pipeline(container_with(triggers), MemoryOutbox(), lanes, Counters())
        yield Contender(name, pipeline.run), lanes


def main() -> None:
    """Two tables: many tags, many patterns."""
    requests = [request_of(hit, number=number) for number, hit in enumerate(make_hits(300))]
    for title, containers in (("fire 3 tags", CONTAINERS), ("look for patterns", PATTERNS)):
        found = list(contenders(containers))
        checks = []
        for contender, lanes in found:
            contender.work(requests[0])
            checks.append(lanes.count == MATCHING)
        compare(title, [contender for contender, _ in found], requests, checks, rounds_asked())


if __name__ == "__main__":
    main()
