"""Ways from a name back to itself."""

from collections.abc import Mapping, Set


def circle_from(start: str, refers_to: Mapping[str, Set[str]]) -> list[str]:
    """A way from `start` back to `start`, or empty."""
    ways: dict[str, list[str]] = {start: [start]}
    queue = [start]
    for name in queue:
        for other in sorted(refers_to.get(name, ())):
            if other == start:
                return [*ways[name], start]
            if other not in ways:
                ways[other] = [*ways[name], other]
                queue.append(other)
    return []
