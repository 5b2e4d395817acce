"""Tests of a container: their form, their files, and how one is run.

- name: A purchase reaches GA4 and Meta
  hit: GET /g/collect?v=2&tid=G-1&cid=1.2&en=purchase&epn.value=9.9
  expect:
    client: GA4
    events: [{event_name: purchase, value: 9.9}]
    fired: [GA4, Meta]
    not_fired: {Newsletter: consent}
    requests:
    - {tag: Meta, url: https://graph.facebook.com/, body: {data.0.event_name: Purchase}}
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml
from msgspec import Meta, Struct

from sgtm.cli._inputs import EventInput, RequestInput, as_verified, read_hit, read_recorded
from sgtm.cli._outcomes import Expected, differences_from, outcome_of, unmet
from sgtm.container.container import Container
from sgtm.container.document import read_document
from sgtm.container.fields import split_error
from sgtm.container.google.secrets import hidden
from sgtm.dry_run import PLAIN_REQUEST, dry_run, dry_run_event
from sgtm.errors import SettingsError
from sgtm.messages import VendorAnswer
from sgtm.observability.walk import Walk

_GOLDEN_HEAD = "# Written by `sgtm test --update`: what followed. Read it before you commit it."


class AnswerInput(Struct, frozen=True, forbid_unknown_fields=True):
    """One answer of a vendor."""

    status: Annotated[int, Meta(ge=100, le=599)] = 200
    headers: dict[str, str] = {}
    body: Annotated[Any, Meta(description="A text, or anything else as JSON.")] = ""

    def answer(self) -> VendorAnswer:
        """As it would come."""
        body = self.body.encode() if isinstance(self.body, str) else msgspec.json.encode(self.body)
        headers = tuple((name.lower(), value) for name, value in self.headers.items())
        return VendorAnswer(self.status, headers, body)


class Case(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One test."""

    name: Annotated[str, Meta(min_length=1)]
    hit: str | None = None
    headers: dict[str, str] = {}
    body: str = ""
    request: RequestInput | None = None
    recorded: Annotated[str | None, Meta(description="Path of an .http file, from the file of tests.")] = None
    event: EventInput | None = None
    verified: Annotated[
        bool, Meta(description="What a webhook client checks of its sender counts as right.")
    ] = False
    variables: Annotated[
        dict[str, Any], Meta(description="Values that variables have instead of their own; null: undefined.")
    ] = {}
    answers: Annotated[
        dict[str, AnswerInput],
        Meta(description="What templates are answered, by how the address begins; else 200 and nothing."),
    ] = {}
    expect: Expected = Expected()
    golden: Annotated[bool, Meta(description="Compare all that follows with the golden file.")] = False
    file: str = ""


class Result(Struct, frozen=True):
    """How a test went; no difference: it passed."""

    case: Case
    differences: list[str]
    seconds: float


class Goldens:
    """The golden file beside a file of tests: test name -> all that followed."""

    def __init__(self, tests: Path, *, is_updating: bool, secrets: Mapping[str, str] = {}) -> None:
        self.secrets = secrets
        self._file = tests.with_name(tests.name.removesuffix(".yaml").removesuffix(".tests") + ".golden.yaml")
        self._is_updating = is_updating
        self._known: dict[str, Any] = {}
        if self._file.exists():
            self._known = yaml.safe_load(self._file.read_text("utf-8")) or {}
        self._has_changed = False

    def compare(self, name: str, outcome: dict[str, Any]) -> Iterator[str]:
        """Differences from the golden; none while updating. No secret is written."""
        outcome = hidden(outcome, self.secrets)
        if self._is_updating:
            self._has_changed = self._has_changed or self._known.get(name) != outcome
            self._known[name] = outcome
        elif name not in self._known:
            yield f"{self._file} has nothing for this test: run with --update, then read what it wrote"
        else:
            yield from differences_from(self._known[name], outcome)

    def close(self) -> None:
        """Write the file, if it has to change."""
        if self._has_changed:
            text = yaml.safe_dump(self._known, sort_keys=False, allow_unicode=True, width=110)
            self._file.write_text(
                "# Written by `sgtm test --update`: what followed. Read it before you commit it.\n" + text,
                "utf-8",
            )
            print(f"wrote {self._file}")


def case_files(container: Path, named: list[Path]) -> list[Path]:
    """Files with tests: those that are named, or those beside the container. Raises SettingsError."""
    if named:
        return named
    beside = container.with_name(f"{container.stem}.tests.yaml")
    files = [file for file in (container, beside) if file.exists() and _holds_tests(file)]
    if not files:
        raise SettingsError(
            "there are no tests", where=str(container), mend=f"write {beside}, or `tests:` in the container"
        )
    return files


def _holds_tests(file: Path) -> bool:
    return file.name.endswith(".tests.yaml") or (
        file.suffix in (".yaml", ".yml") and "\ntests:" in file.read_text("utf-8", "replace")
    )


def read_cases(file: Path) -> Iterator[Case]:
    """The tests of a file. Raises SettingsError with the line of the first mistake."""
    try:
        document = read_document(file.read_bytes())
    except OSError as error:
        raise SettingsError(
            error.strerror or "cannot be read", where=str(file), mend="give its path"
        ) from None
    for flaw in document.flaws:
        raise SettingsError(flaw.what, where=f"{file}:{flaw.line}", mend=flaw.mend)
    is_inside = isinstance(document.data, dict)
    written = document.data.get("tests") if is_inside else document.data
    if not isinstance(written, list):
        raise SettingsError("is no list of tests", where=str(file), mend="begin each test with `- name: ...`")
    for index, one in enumerate(written):
        path = (("tests",) if is_inside else ()) + (index,)
        try:
            case = msgspec.convert(one, Case)
        except msgspec.ValidationError as error:
            message, steps = split_error(error)
            where = f"{file}:{document.line((*path, *steps))}: {'.'.join(str(step) for step in steps)}"
            raise SettingsError(message, where=where.removesuffix(": "), mend="see docs/testing.md") from None
        if sum(given is not None for given in (case.hit, case.request, case.recorded, case.event)) != 1:
            raise SettingsError(
                f"test {case.name!r} needs exactly one input",
                where=f"{file}:{document.line(path)}",
                mend="write `hit:`, `request:`, `recorded:` or `event:`",
            )
        yield msgspec.structs.replace(case, file=str(file))


def run_case(container: Container, case: Case, goldens: Goldens) -> list[str]:
    """What differs from what the test expects."""
    outcome = outcome_of(_walk(container, case))
    found = list(unmet(case.expect, outcome))
    if case.golden:
        found += goldens.compare(case.name, outcome)
    return [hidden(difference, goldens.secrets) for difference in found]


def _walk(container: Container, case: Case) -> Walk:
    answers = {url: one.answer() for url, one in case.answers.items()}
    if case.event is not None:
        data = {"event_name": case.event.name, **case.event.data}
        return dry_run_event(container, data, case.event.client, variables=case.variables, answers=answers)
    if case.recorded is not None:
        file = Path(case.file).parent / case.recorded
        request = read_recorded(file, PLAIN_REQUEST.received_micros)
    else:
        request = (case.request or read_hit(case.hit or "", case.headers, case.body)).request()
    request = as_verified(request) if case.verified else request
    return dry_run(container, request, case.variables, answers=answers)
