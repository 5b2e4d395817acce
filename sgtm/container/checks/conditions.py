"""Conditions and triggers: patterns that cannot be used, and what can never hold."""

from typing import Any

from sgtm.container.document import Path
from sgtm.container.model import Variable
from sgtm.container.native import Reading
from sgtm.container.references import references_in
from sgtm.container.tags import LookupOrder
from sgtm.container.triggers import names_of
from sgtm.container.variables import event_name_variables
from sgtm.javascript import number_of, text_of
from sgtm.patterns import PatternError, compile_pattern
from sgtm.triggers.condition import Condition
from sgtm.triggers.operators import NUMBER_OPERATORS

_WITH_CONDITIONS = ("preparations", "triggers", "transformations")


def check_conditions(reading: Reading) -> None:
    """Report conditions that cannot be what somebody meant."""
    declared: dict[str, Variable] = {variable.name: variable for variable in reading.model.variables}
    lookups = LookupOrder(declared, {name: slot for slot, name in enumerate(declared)}, reading.templates)
    for kind in _WITH_CONDITIONS:
        for entity, path in reading.entities(kind):
            for index, condition in enumerate(entity.conditions):
                place = (*path, "conditions", index)
                _condition(reading, condition, place)
                if kind != "transformations" and lookups.needed_by([condition.value, condition.compare_with]):
                    what = "needs a value that is looked up elsewhere: nothing waits here, it has its default"
                    reading.report.warning(place, what, "use a variable that is known at once")
            _contradictions(reading, entity.conditions, path)
    _names(reading, declared)


def _condition(reading: Reading, condition: Condition, path: Path) -> None:
    right = condition.compare_with
    members = right if isinstance(right, list) else [right]
    if isinstance(right, list) and not right:
        mend = "write what it is compared with"
        reading.report.warning((*path, "compare_with"), "an empty list: nothing is any of it", mend)
    for index, member in enumerate(members):
        place = (*path, "compare_with", index) if isinstance(right, list) else (*path, "compare_with")
        _member(reading, condition, member, place)
    if condition.ignore_case and condition.operator != "matches_regex":
        what = "is for `matches_regex` only: other operators always tell capitals from small ones"
        reading.report.warning((*path, "ignore_case"), what, "remove it, or write a pattern: ^value$")
    if condition.operator == "css_selector":
        what = "never holds: a server sees no page"
        reading.report.warning((*path, "operator"), what, "compare a value of the event instead")


def _member(reading: Reading, condition: Condition, member: Any, place: Path) -> None:
    if any(references_in(member)):
        return
    if condition.operator == "matches_regex":
        try:
            compile_pattern(text_of(member), ignore_case=condition.ignore_case)
        except PatternError as error:
            what = f"{error.what} ({error.where})" if error.where != "the pattern" else error.what
            reading.report.error(place, f"this pattern cannot be used: {what}", error.mend)
    elif condition.operator in NUMBER_OPERATORS and number_of(member) != number_of(member):
        what = f"{text_of(member)!r} is no number, and nothing compares with that"
        reading.report.warning(place, what, "write a number")


def _contradictions(reading: Reading, conditions: tuple[Condition, ...], path: Path) -> None:
    """Two conditions of which one value would have to equal different texts."""
    wanted: dict[str, frozenset[str]] = {}
    for index, condition in enumerate(conditions):
        right = condition.compare_with
        if condition.negate or condition.operator != "equals" or any(references_in(right)):
            continue
        texts = frozenset(map(text_of, right if isinstance(right, list) else [right]))
        common = texts & wanted.get(condition.value, texts)
        wanted[condition.value] = common
        if texts and not common:
            what = f"never holds: an earlier condition wants {condition.value} to equal something else"
            mend = "write both texts as a list in one condition, or make two triggers"
            reading.report.warning((*path, "conditions", index), what, mend)
            return


def _names(reading: Reading, declared: dict[str, Variable]) -> None:
    variables = event_name_variables(declared)
    for trigger, path in reading.entities("triggers"):
        names, _ = names_of(trigger, variables)
        if names is None or names:
            continue
        if getattr(trigger, "event_names", ()):
            what = "never fires: no event has a name of `event_names` that its conditions also want"
            reading.report.warning(path, what, "write the names in one place only")
