"""Ways from a name back to itself."""

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import TypeVar

P = TypeVar("P")


def circles(
    refers_to: Mapping[str, Set[str]], places: Iterable[tuple[str, P]]
) -> Iterator[tuple[P, list[str]]]:
    """Each circle once, as a way from a name back to itself, with the place of the first of its names."""
    known: set[frozenset[str]] = set()
    suspects = may_be_in_circles(refers_to)
    for name, place in places:
        circle = circle_from(name, refers_to) if name in suspects else []
        if circle and frozenset(circle) not in known:
            known.add(frozenset(circle))
            yield place, circle


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


def may_be_in_circles(refers_to: Mapping[str, Set[str]]) -> set[str]:
    """Names without those from which every way comes to an end. Most containers have none left."""
    waiting = {name: set(others & refers_to.keys()) for name, others in refers_to.items()}
    referred_by: dict[str, list[str]] = {}
    for name, others in waiting.items():
        for other in others:
            referred_by.setdefault(other, []).append(name)
    ends = [name for name, others in waiting.items() if not others]
    for end in ends:
        for name in referred_by.get(end, ()):
            waiting[name].discard(end)
            if not waiting[name]:
                ends.append(name)
    return waiting.keys() - ends
