"""`${NAME}` and `${NAME:-default}` in texts, and secrets, which are named and never expanded.

`$${` writes a literal `${`. What is unset is an error that names the variable.
"""

import os
import re
from collections.abc import Mapping
from typing import Any

from msgspec import ValidationError, convert, inspect

from sgtm.component import Secret
from sgtm.container.document import Path
from sgtm.container.field_types import inner_type, is_secret, is_text_only, members
from sgtm.container.references import references_in
from sgtm.container.report import Report
from sgtm.delivery.credentials import CredentialSource

_VARIABLE = re.compile(r"(?P<escape>\$\$\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
_MEND = "write ${NAME} and set NAME in the environment, or {file: /run/secrets/name}"


class Written:
    """Turns what a person wrote into what the structs hold, led by the types of the fields."""

    def __init__(self, report: Report, environment: Mapping[str, str] | None = None) -> None:
        self._report = report
        self._environment = os.environ if environment is None else environment

    def value(self, value: Any, type_: inspect.Type, path: Path) -> Any:
        """`value` with variables of the environment filled in, secrets as CredentialSource, and
        numbers as the text that was written where only a text belongs."""
        if is_secret(type_) and value is not None:
            return self._secret(value, path)
        if isinstance(value, dict):
            return {
                key: self.value(item, inner_type(type_, key), (*path, key)) for key, item in value.items()
            }
        if isinstance(value, list):
            return [
                self.value(item, inner_type(type_, index), (*path, index)) for index, item in enumerate(value)
            ]
        if isinstance(value, str):
            return self._text(value, type_, path) if "${" in value else value
        if value is not None and is_text_only(type_):
            return self._report.document.texts.get(path, value)
        return value

    def _text(self, text: str, type_: inspect.Type, path: Path) -> Any:
        result = _VARIABLE.sub(lambda match: self._expanded(match, path), text)
        if "${" in _VARIABLE.sub("", text):
            mend = "write ${NAME} or ${NAME:-default}, NAME of letters, digits and _; $${ is a literal ${"
            self._report.unset(path, "a ${ begins no variable of the environment", mend)
        is_whole = _VARIABLE.fullmatch(text.strip()) is not None
        return _as_declared(result, type_) if is_whole else result

    def _expanded(self, match: re.Match[str], path: Path) -> str:
        name, default = match.group("name"), match.group("default")
        if match.group("escape"):
            return "${"
        value = self._environment.get(name)
        if value is None and default is None:
            self._report_unset(name, f"${{{name}:-default}}", path)
        self._report.conceal(value or "", name)
        return value or default or ""

    def _report_unset(self, name: str, instead: str, path: Path) -> None:
        self._report.unset(path, f"the environment has no variable {name}", f"set {name}, or write {instead}")

    def _secret(self, value: Any, path: Path) -> Any:
        if isinstance(value, str):
            return self._secret_text(value, path)
        if isinstance(value, dict) and set(value) == {"file"} and isinstance(value["file"], str):
            return self._secret_file(self._text(value["file"], inspect.StrType(), path), path)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return self._secret_text(self._report.document.texts.get(path, str(value)), path)
        self._report.error(path, "is not a secret", _MEND)
        return CredentialSource(literal="-")

    def _secret_text(self, text: str, path: Path) -> CredentialSource:
        match = _VARIABLE.fullmatch(text.strip())
        if match and not match.group("escape"):
            name, default = match.group("name"), match.group("default")
            if not self._environment.get(name):
                if default:
                    return CredentialSource(literal=default)
                self._report_unset(name, "{file: /run/secrets/name}", path)
            return CredentialSource(environment=name)
        if any(references_in(text)):
            self._report.error(path, "a secret cannot come from a {{variable}}", _MEND)
        elif _VARIABLE.search(text) or text.strip().startswith("$"):
            self._report.error(path, "a secret is one ${NAME} and nothing around it", _MEND)
        elif not text.strip():
            self._report.error(path, "is empty", _MEND)
        else:
            self._report.warning(path, "a secret stands in the container file itself", _MEND)
        return CredentialSource(literal=text.strip())

    def _secret_file(self, file: str, path: Path) -> CredentialSource:
        if not os.access(file, os.R_OK) or os.path.isdir(file):
            self._report.error(path, f"the file {file} cannot be read", "write the file, or mend its name")
        return CredentialSource(file=file)


def _as_declared(text: str, type_: inspect.Type) -> Any:
    """A text from the environment as the number or truth value that belongs there, if it is one."""
    if any(isinstance(member, (inspect.StrType, inspect.AnyType)) for member in members(type_)):
        return text
    for member in members(type_):
        for kind, python in ((inspect.BoolType, bool), (inspect.IntType, int), (inspect.FloatType, float)):
            if isinstance(member, kind):
                try:
                    return convert(text, python, strict=False)
                except ValidationError:
                    continue
    return text


def with_secret_names(value: Any, place: str, credentials: dict[str, CredentialSource]) -> Any:
    """`value` with each CredentialSource replaced by the Secret that names it in `credentials`."""
    if isinstance(value, CredentialSource):
        name = value.environment or place
        credentials[name] = value
        return Secret(name)
    if isinstance(value, dict):
        return {key: with_secret_names(item, f"{place}.{key}", credentials) for key, item in value.items()}
    if isinstance(value, list):
        return [with_secret_names(item, f"{place}.{index}", credentials) for index, item in enumerate(value)]
    return value
