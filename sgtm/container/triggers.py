"""Triggers, compiled: which tags an event's name can fire, and whether one does.

- conditions on the event's name that come down to some names belong to the index: a hit touches only
  tags that its name can fire
- triggers that fire a tag are alternatives; one that blocks wins over all of them, also when evaluating
  its conditions failed
- a trigger that does not exist never fires a tag; where it is to block one, the tag does not fire:
  nobody knows any more what it was to keep out

SPEC: google-runtime 2.2; sandbox-api 5.4, 5.10.3.3, A9, A12.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from sgtm.container.conditions import (
    FAILS,
    HOLDS,
    UNDETERMINED,
    ConditionCompiler,
    Conditions,
    Requirement,
    Search,
    Test,
    constant_pattern,
)
from sgtm.container.container import ContainerTag, View
from sgtm.container.model import Tag
from sgtm.container.references import references_in, whole_reference
from sgtm.javascript import text_of
from sgtm.observability.walk import WalkedTrigger
from sgtm.triggers.condition import Condition
from sgtm.triggers.trigger import ALL_EVENTS, AllEvents, Trigger, event_names

_MANY = 5
"""Event names that are listed in a sentence."""


class CompiledTrigger(Struct, frozen=True):
    """A trigger: the names of events that it looks at (None: all), and what must hold besides."""

    name: str
    names: frozenset[str] | None
    conditions: Conditions | None

    @property
    def met(self) -> Test:
        """Whether an event fires it."""
        names = self.names
        holds = self.conditions.met if self.conditions is not None else _always
        if names is None:
            return holds
        return lambda view: holds(view) if view.event.name in names else FAILS

    def explain(self, view: View, *, is_blocking: bool) -> WalkedTrigger:
        """What became of it, for a person who looks."""
        walked = WalkedTrigger(self.name, self.met(view) == HOLDS, is_blocking)
        if self.names is not None and view.event.name not in self.names:
            walked.reason = _other_name(view.event.name, self.names)
        elif self.conditions is not None and not walked.has_matched:
            failure = self.conditions.failure(view)
            if failure is not None:
                walked.failed, walked.reason = failure
            walked.has_matched = is_blocking and self.met(view) == UNDETERMINED
        return walked


def _always(view: View) -> int:
    return HOLDS


class TriggerCompiler:
    """Compiles the triggers of one container, and what its tags make of them."""

    def __init__(
        self,
        triggers: Iterable[Trigger],
        conditions: ConditionCompiler,
        event_name_variables: frozenset[str],
    ) -> None:
        declared: dict[str, Trigger] = {ALL_EVENTS: AllEvents(ALL_EVENTS)}
        declared |= {trigger.name: trigger for trigger in triggers}
        self._triggers: Mapping[str, CompiledTrigger] = {
            name: _compiled(trigger, conditions, event_name_variables) for name, trigger in declared.items()
        }

    def firing(self, tag: Tag) -> list[CompiledTrigger]:
        """The triggers that fire the tag."""
        return self._named(tag.firing_triggers)

    def firings(self, tag: Tag) -> Callable[[View], int] | None:
        """How often an event fires the tag; None where the event's name decides."""
        firing = self._named(tag.firing_triggers)
        is_unlimited = tag.firing_option == "unlimited"
        is_named = all(trigger.conditions is None for trigger in firing)
        if is_named and not tag.blocking_triggers and (not is_unlimited or len(firing) == 1):
            return None
        blocking = [self._blocks(name) for name in tag.blocking_triggers]
        return _firings([trigger.met for trigger in firing], blocking, is_unlimited)

    def explain(self, tag: Tag) -> Callable[[View], list[WalkedTrigger]]:
        """Each trigger of the tag, those that fire it first."""
        named = [(name, False) for name in tag.firing_triggers]
        named += [(name, True) for name in tag.blocking_triggers]
        triggers = self._triggers

        def explain(view: View) -> list[WalkedTrigger]:
            return [
                triggers[name].explain(view, is_blocking=is_blocking)
                if name in triggers
                else WalkedTrigger(name, is_blocking, is_blocking, reason="there is no such trigger")
                for name, is_blocking in named
            ]

        return explain

    def _named(self, names: Iterable[str]) -> list[CompiledTrigger]:
        return [self._triggers[name] for name in dict.fromkeys(names) if name in self._triggers]

    def _blocks(self, name: str) -> Test:
        return self._triggers[name].met if name in self._triggers else _always


def _firings(firing: Sequence[Test], blocking: Sequence[Test], is_unlimited: bool) -> Callable[[View], int]:
    if len(firing) == 1 and not blocking:
        only = firing[0]
        return lambda view: int(only(view) == HOLDS)

    def firings(view: View) -> int:
        times = 0
        for met in firing:
            if met(view) == HOLDS:
                times += 1
                if not is_unlimited:
                    break
        if not times or any(met(view) != FAILS for met in blocking):
            return 0
        return times

    return firings


def _compiled(
    trigger: Trigger, conditions: ConditionCompiler, event_name_variables: frozenset[str]
) -> CompiledTrigger:
    names, rest = names_of(trigger, event_name_variables)
    return CompiledTrigger(trigger.name, names, conditions.conditions(rest))


def names_of(
    trigger: Trigger, event_name_variables: frozenset[str]
) -> tuple[frozenset[str] | None, list[Condition]]:
    """The names of events that can fire the trigger (None: all), and the conditions that say more."""
    names = event_names(trigger)
    rest = []
    for condition in trigger.conditions:
        wanted = _wanted_names(condition, event_name_variables)
        if wanted is None:
            rest.append(condition)
        else:
            names = wanted if names is None else names & wanted
    return names, rest


def _wanted_names(condition: Condition, event_name_variables: frozenset[str]) -> frozenset[str] | None:
    """The names of events for which the condition holds, where it is about nothing else."""
    if condition.negate or whole_reference(condition.value) not in event_name_variables:
        return None
    written = condition.compare_with
    if any(references_in(written)):
        return None
    members = written if isinstance(written, list) else [written]
    if condition.operator == "equals":
        return frozenset(text_of(member) for member in members)
    if condition.operator != "matches_regex":
        return None
    patterns = [constant_pattern(member, condition.ignore_case) for member in members]
    texts = [pattern.equals if pattern is not None else frozenset[str]() for pattern in patterns]
    return frozenset().union(*texts) if texts and all(texts) else None


def _other_name(name: str, wanted: frozenset[str]) -> str:
    if name.lower() in {one.lower() for one in wanted}:
        meant = min(one for one in wanted if one.lower() == name.lower())
        return f"the event is `{name}`, not `{meant}`: they differ in capital letters only, and case matters"
    listed = sorted(wanted)
    words = ", ".join(f"`{one}`" for one in listed[:_MANY])
    if len(listed) > _MANY:
        words += f" or {len(listed) - _MANY} others"
    return f"the event is `{name}`, and it looks at {words}" if listed else "no event can have such a name"


class TagsOfEvent:
    """Tags that an event of one name could fire, in firing order; found by what their conditions need.

    PERF: a tag whose triggers need a text or pattern that the event does not have costs nothing, since
    the search that answers all of them is made once for each value."""

    __slots__ = ("_always", "_by_position", "_searches", "tags")

    def __init__(self, tags: Sequence[tuple[ContainerTag, list[Requirement] | None]]) -> None:
        self.tags = tuple(tag for tag, _ in tags)
        self._always: list[int] = []
        self._by_position: dict[tuple[Search, int], list[int]] = {}
        for place, (_, requirements) in enumerate(tags):
            if requirements is None:
                self._always.append(place)
            for requirement in requirements or ():
                for position in requirement.positions:
                    self._by_position.setdefault((requirement.search, position), []).append(place)
        self._searches = list(dict.fromkeys(search for search, _ in self._by_position))

    def candidates(self, view: View) -> Sequence[ContainerTag]:
        """Those that have what at least one of their triggers needs."""
        places = [*self._always]
        try:
            for search in self._searches:
                for position in search.matching(view):
                    places += self._by_position.get((search, position), ())
        except Exception:
            return self.tags  # the conditions themselves will say what is wrong
        return [self.tags[place] for place in sorted(set(places))]


def by_event_name(
    tags: Sequence[tuple[ContainerTag, list[CompiledTrigger]]],
) -> tuple[dict[str, tuple[ContainerTag, ...]], tuple[ContainerTag, ...]]:
    """The index: event name -> tags in firing order, and the tags of every other event. Each tag comes
    with the triggers that fire it."""
    names = _all_names(tags)
    index = {name: tuple(tag for tag, triggers in tags if _could_fire(triggers, name)) for name in names}
    return index, tuple(tag for tag, triggers in tags if _could_fire(triggers, None))


def selections(
    tags: Sequence[tuple[ContainerTag, list[CompiledTrigger]]],
) -> dict[str | None, Callable[[View], Sequence[ContainerTag]]]:
    """For each event name (None: every other) with so many tags that it pays: how to find those that are
    worth a look. Conditions must be finished."""
    found: dict[str | None, Callable[[View], Sequence[ContainerTag]]] = {}
    for name in (*_all_names(tags), None):
        mine = [(tag, _requirements(triggers, name)) for tag, triggers in tags if _could_fire(triggers, name)]
        if sum(requirements is not None for _, requirements in mine) > _FEW_TAGS:
            found[name] = TagsOfEvent(mine).candidates
    return found


_FEW_TAGS = 4
"""Looking at so many costs less than finding out which."""


def _all_names(tags: Sequence[tuple[ContainerTag, list[CompiledTrigger]]]) -> dict[str, None]:
    return dict.fromkeys(
        name for _, triggers in tags for trigger in triggers for name in sorted(trigger.names or ())
    )


def _could_fire(triggers: Iterable[CompiledTrigger], name: str | None) -> bool:
    return any(trigger.names is None or name in trigger.names for trigger in triggers)


def _requirements(triggers: Iterable[CompiledTrigger], name: str | None) -> list[Requirement] | None:
    """What the tag's triggers need for events of that name; None where one may need nothing of the kind."""
    found = []
    for trigger in triggers:
        if trigger.names is None or name in trigger.names:
            requirement = trigger.conditions.requirement if trigger.conditions is not None else None
            if requirement is None or not requirement.search.is_worthwhile:
                return None
            found.append(requirement)
    return found
