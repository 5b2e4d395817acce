"""Tags, compiled, in firing order: consent, triggers, transformations, schedule, sample, partners.

A set-up or clean-up tag that is paused, cannot run or is not there is as if none were named (`check` says
so); but a tag that is to stop where its set-up tag fails never fires then, since nobody has set it up.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from sgtm.component import Component
from sgtm.consent import ConsentType
from sgtm.container.container import ContainerDeduplication, ContainerTag, ContainerTransformation
from sgtm.container.model import ConsentPolicy, Deduplication, Schedule, Tag, Variable
from sgtm.container.parameters import ParametersCompiler
from sgtm.container.references import references_in, references_of
from sgtm.container.sample import sampled
from sgtm.container.templates import Templates
from sgtm.container.triggers import TriggerCompiler

_FOREVER = (1 << 63) - 1
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
Waves = tuple[tuple[int, ...], ...]
"""Slots of asynchronous variables: those of one wave are looked up at once, those of the next need them."""


def required_consent(tag: Tag, component: Component, policy: ConsentPolicy) -> tuple[ConsentType, ...]:
    """Consent that an event must have for this tag (SPEC: design.md, Consent gates)."""
    if tag.consent is not None:
        return tag.consent
    if policy.gate == "declared" or component.is_consent_aware:
        return ()
    return component.consent


class TagCompiler:
    """Compiles the tags of one container."""

    def __init__(
        self,
        parameters: ParametersCompiler,
        triggers: TriggerCompiler,
        lookups: "LookupOrder",
        consent: ConsentPolicy,
    ) -> None:
        self._parameters, self._triggers, self._lookups = parameters, triggers, lookups
        self._consent = consent

    def tag(self, tag: Tag, transformations: tuple[ContainerTransformation, ...]) -> ContainerTag:
        """One tag. Raises ContainerError for an unknown type and for constant parameters that do not
        fit."""
        component = self._parameters.component_of("tag", tag)
        setup, cleanup = tag.setup_tag, tag.cleanup_tag
        return ContainerTag(
            name=tag.name,
            component=component,
            parameters=self._parameters.live("tags", tag, component),
            required_consent=required_consent(tag, component, self._consent),
            delivery=tag.delivery,
            firing_triggers=tag.firing_triggers,
            firings=self._triggers.firings(tag),
            explain=self._triggers.explain(tag),
            transformations=transformations,
            awaits=self._lookups.needed_by(tag.parameters),
            schedule=micros_of(tag.schedule),
            sample=sampled(tag.sample),
            answers_browser=component.answers_browser is not None
            and component.answers_browser(tag.parameters),
            is_live_only=tag.is_live_only,
            is_unlimited=tag.firing_option == "unlimited",
            setup_tag=setup.tag if setup else "",
            stops_on_setup_failure=setup is not None and setup.stop_on_failure,
            cleanup_tag=cleanup.tag if cleanup else "",
            cleanup_only_on_success=cleanup is not None and cleanup.only_on_success,
            deduplication=deduplication_of(tag.deduplicate),
        )


def deduplication_of(rule: Deduplication | None) -> ContainerDeduplication | None:
    """The rule, ready to be asked."""
    if rule is None:
        return None
    paths = (rule.key,) if isinstance(rule.key, str) else rule.key
    return ContainerDeduplication(
        key_paths=paths,
        counts_name=paths == ("event_id",),
        window_micros=int(rule.window[:-1]) * _UNITS_S[rule.window[-1]] * 1_000_000,
        except_events=frozenset(rule.except_events),
    )


def in_sequence(tags: Sequence[ContainerTag]) -> list[ContainerTag]:
    """The same tags; those that name partners that run, or are partners, know it."""
    names = {tag.name for tag in tags}
    partners = {name for tag in tags for name in (tag.setup_tag, tag.cleanup_tag)} & names

    def missing(tag: ContainerTag) -> str:
        return tag.setup_tag if tag.stops_on_setup_failure and tag.setup_tag not in names else ""

    return [
        replace(
            tag,
            setup_tag=tag.setup_tag if tag.setup_tag in names else "",
            stops_on_setup_failure=tag.stops_on_setup_failure and tag.setup_tag in names,
            missing_setup_tag=missing(tag),
            cleanup_tag=tag.cleanup_tag if tag.cleanup_tag in names else "",
            is_sequenced=bool({tag.name, tag.setup_tag, tag.cleanup_tag} & partners),
        )
        for tag in tags
    ]


def micros_of(schedule: Schedule | None) -> tuple[int, int] | None:
    """A schedule as Unix times in microseconds; an end that is not set never comes."""
    if schedule is None or (schedule.start is None and schedule.end is None):
        return None
    return _micros(schedule.start, 0), _micros(schedule.end, _FOREVER)


def _micros(moment: datetime | None, otherwise: int) -> int:
    return otherwise if moment is None else round(moment.timestamp() * 1_000_000)


class LookupOrder:
    """Which asynchronous variables something needs, and which of them first."""

    def __init__(
        self, declared: Mapping[str, Variable], slots: Mapping[str, int], templates: Templates
    ) -> None:
        self._declared, self._slots, self._templates = declared, slots, templates

    def needed_by(self, written: Any) -> Waves:
        """The asynchronous variables that are referred to, also through other variables (SPEC: sandbox-api
        5.10.3.9)."""
        order: dict[str, None] = {}
        seen: set[str] = set()
        stack = [(name, False) for name in references_in(written)][::-1]
        while stack:  # no recursion: a chain may be as long as the container
            name, is_done = stack.pop()
            if is_done:
                order[name] = None
            elif name not in seen and name in self._declared:
                seen.add(name)
                stack.append((name, True))
                stack += [(other, False) for other in references_of(self._declared[name])][::-1]
        return self._waves(order)

    def _waves(self, names: Iterable[str]) -> Waves:
        """`names`, each after those that it refers to, as waves."""
        waves: list[list[int]] = []
        ready: dict[str, int] = {}
        """Name -> number of waves that must have come before it can be read."""
        for name in names:
            wave = max((ready.get(other, 0) for other in references_of(self._declared[name])), default=0)
            component = self._templates.find("variable", self._declared[name].type)
            if component is not None and component.is_asynchronous:
                waves += [[]] if wave == len(waves) else []
                waves[wave].append(self._slots[name])
                wave += 1
            ready[name] = wave
        return tuple(map(tuple, waves))
