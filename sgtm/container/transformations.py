"""Transformations and preparations, compiled: when they apply, to whom, and what they make of the event.

- transformations stand in the order of their priority (the higher number first), then of the list
- one that names only tags and types that are not there affects nothing, never everything
- where conditions or the transformation itself fail, the tag does not fire: it might see what it was
  to be kept from. The same holds where the type of a transformation is unknown.

SPEC: sandbox-api 5.8, 5.10.1 (W2), 5.10.3.5, A8; requirements R161-R164.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import asdict

from sgtm.component import Component
from sgtm.container.conditions import FAILS, HOLDS, ConditionCompiler, Conditions
from sgtm.container.container import ContainerPreparation, ContainerTransformation, View
from sgtm.container.model import Preparation, Tag, Transformation
from sgtm.container.parameters import ParametersCompiler
from sgtm.container.tags import LookupOrder
from sgtm.errors import ContainerError
from sgtm.messages import Dropped, EventData
from sgtm.observability.walk import WalkedTransformation

log = logging.getLogger("sgtm.container")

Transform = Callable[[View], Any]
"""Event data or Dropped. May raise."""


class UndeterminedError(Exception):
    """Nobody knows whether a transformation was to be applied."""


class UnknownTransformationError(Exception):
    """Nobody knows what a transformation was to do."""


class TransformationCompiler:
    """Compiles the transformations and preparations of one container. `is_lenient`: what cannot be
    compiled keeps the tags that it affects from firing, instead of raising ContainerError."""

    def __init__(
        self,
        parameters: ParametersCompiler,
        conditions: ConditionCompiler,
        lookups: LookupOrder,
        *,
        is_lenient: bool,
    ) -> None:
        self._parameters, self._conditions, self._is_lenient = parameters, conditions, is_lenient
        self._lookups = lookups

    def transformation(self, one: Transformation, slot: int) -> ContainerTransformation:
        """A transformation; `slot` is its place in their order."""
        conditions = self._conditions.conditions(one.conditions)
        applies, transform = _applies(conditions), self._transform("transformations", one)
        explain = _explain(one.name, conditions, applies, transform)
        awaits = self._lookups.needed_by([one.parameters, *map(asdict, one.conditions)])
        return ContainerTransformation(one.name, slot, applies, transform, explain, awaits)

    def preparation(self, one: Preparation) -> ContainerPreparation:
        """A preparation."""
        conditions = self._conditions.conditions(one.conditions)
        applies, transform = _applies(conditions), self._transform("preparations", one)
        return ContainerPreparation(
            one.name, applies, transform, _explain(one.name, conditions, applies, transform)
        )

    def _transform(self, kind: str, one: Transformation | Preparation) -> Transform:
        try:
            component = self._parameters.component_of("transformation", one)
            parameters = self._parameters.live(kind, one, component)
        except ContainerError as error:
            if not self._is_lenient:
                raise
            what = error.problems[0].what
            log.warning("%s: %s; the tags that it affects do not fire", error.where, what)
            return _unknown
        return _sound(component, parameters, may_drop=kind == "preparations")


def affected(
    transformation: Transformation, tags: Iterable[Tag], type_of: Callable[[str], str]
) -> frozenset[str]:
    """Names of the tags that see its result. `type_of` is that of `Templates`."""
    every = {tag.name: type_of(tag.type) for tag in tags}
    listed = {name for name in transformation.affected_tags if name in every}
    has_found_type = False
    for row in transformation.affected_tag_types:
        of_type = {name for name, type_ in every.items() if type_ == type_of(row.type)}
        has_found_type |= bool(of_type)
        listed |= of_type.difference(row.except_tags)
    if not transformation.all_tags_except:
        return frozenset(listed)
    names_anything = transformation.affected_tags or transformation.affected_tag_types
    if names_anything and not listed and not has_found_type:
        return frozenset()
    return frozenset(every.keys() - listed)


def _applies(conditions: Conditions | None) -> Callable[[View], bool]:
    if conditions is None:
        return lambda view: True
    met = conditions.met

    def applies(view: View) -> bool:
        result = met(view)
        if result not in (HOLDS, FAILS):
            raise UndeterminedError
        return result == HOLDS

    return applies


def _sound(component: Component, parameters: Callable[[View], Any], *, may_drop: bool) -> Transform:
    function = component.function

    def transform(view: View) -> EventData | Dropped:
        result: EventData | Dropped = function(view.event, parameters(view))
        if isinstance(result, dict) or (may_drop and isinstance(result, Dropped)):
            return result
        raise TypeError("a transformation gives event data")

    return transform


def _unknown(view: View) -> EventData:
    raise UnknownTransformationError


def _explain(
    name: str, conditions: Conditions | None, applies: Callable[[View], bool], transform: Transform
) -> Callable[[View], WalkedTransformation]:
    def explain(view: View) -> WalkedTransformation:
        walked = WalkedTransformation(name, False, view.event.data, view.event.data)
        failure = conditions.failure(view) if conditions is not None else None
        if failure is not None:
            walked.failed, walked.reason = failure
            return walked
        try:
            walked.has_applied = applies(view)
            result = transform(view)
        except Exception as error:
            walked.has_applied, walked.reason = False, f"raised {type(error).__name__}"
            return walked
        if isinstance(result, Dropped):
            walked.reason = f"dropped the event: {result.reason}"
        else:
            walked.after = result
        return walked

    return explain
