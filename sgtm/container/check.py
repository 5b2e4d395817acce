"""All that is wrong with a container, at once: each problem says what, where, and how to mend it.

Errors stop `serve`, warnings do not. What cannot even be read was reported by the front door; here
stands what a container means and should not: unknown names, parameters that do not fit, silence
about consent, clients that nobody can reach.
"""

from collections.abc import Mapping
from pathlib import Path as FilePath

from sgtm.container.checks.clients import check_clients
from sgtm.container.checks.components import check_components
from sgtm.container.checks.conditions import check_conditions
from sgtm.container.checks.consent import check_consent
from sgtm.container.checks.context import check_context
from sgtm.container.checks.names import check_names
from sgtm.container.checks.references import check_references
from sgtm.container.checks.tags import check_tags
from sgtm.container.checks.templates import check_templates
from sgtm.container.checks.transformations import check_transformations
from sgtm.container.checks.unused import check_unused
from sgtm.container.native import Reading, read_container, read_source
from sgtm.errors import ContainerError, Problem

CHECKS = (
    check_names,
    check_templates,
    check_components,
    check_clients,
    check_conditions,
    check_transformations,
    check_tags,
    check_references,
    check_consent,
    check_context,
)


def check_container(
    path: str | FilePath, environment: Mapping[str, str] | None = None, source: bytes | None = None
) -> list[Problem]:
    """All problems of a container file, from its top to its end; `source` is what stands in it, if that is
    known already. Never raises."""
    return judge(_read(path, environment, source))


def read_sound(
    path: str | FilePath, environment: Mapping[str, str] | None = None, source: bytes | None = None
) -> Reading:
    """A container file without errors; `source` is what stands in it, if that is known already.

    Raises ContainerError with all problems if there is one."""
    reading = _read(path, environment, source)
    problems = judge(reading)
    if reading.report.has_errors:
        raise ContainerError(problems, where=str(path))
    return reading


def _read(path: str | FilePath, environment: Mapping[str, str] | None, source: bytes | None) -> Reading:
    if source is None:
        return read_container(path, environment)
    return read_source(source, str(path), environment)


def judge(reading: Reading) -> list[Problem]:
    """All problems of what a front door has read."""
    report = reading.report
    if isinstance(report.document.data, dict):
        for check in CHECKS:
            check(reading)
        if not report.has_errors and not reading.model.tolerates_unknown:
            # else they may only follow from an error, or from being a part of something
            check_unused(reading)
    return report.in_line_order()
