"""Secrets in the plain data of a container: where they stand, and the same data without them.

Exports hold them in clear text, in constants and in fields of tags (SPEC: sandbox-api 5.10.3.14). They are
known by the name of the field or constant (`accessToken`, `API secret`, `Authorization`), or by how they
look: a private key, a JSON web token, a known prefix, or 32 and more characters of chance. Only whole
texts without a `{{reference}}` are taken. What is taken by mistake costs a line in `.env`; what is missed
stays where it was, so look through the converted file.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from sgtm.container.document import Path
from sgtm.container.google.export import unused

_NAME = re.compile(
    r"(?:access|auth|api|bearer|refresh|id|capi|verify|security)?_?token(?!_?(?:type|name|field|expir))"
    r"|secret|passw(?:or)?d|passphrase|credential|authori[sz]ation"
    r"|(?:api|private|access|auth|service|account|signing|encryption|license|linker)_?key",
)
_HUMP = re.compile("(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_LOOKS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*$"
    r"|(?:EAA|AIza|ya29\.|gh[opsu]_|github_pat_|glpat-|xox[abprs]-|sk_live_|sk_test_|rk_live_|sk-|SG\.|AKIA)"
    r"[\w.-]{12,}$"
    r"|(?:Bearer|Basic|Token) [\w.+/=~-]{16,}$"
)
_CHANCE = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_+/=-]{32,}")
_SHORTEST = 6
_LABELS = ("name", "key", "header", "headerName", "fieldName", "paramName", "property")
"""Cells of a table's row that say what the cell `value` is."""
_SKIPPED = (
    "name",
    "type",
    "types",
    "source",
    "gallery",
    "firing_triggers",
    "blocking_triggers",
)


_OWN = ("value", "paramValue", "parameters", "rows", "default", "format_value")
"""Fields that say nothing of what stands in them: a constant is called by its own name, and so are the rows
and the default of a table."""
_URL = re.compile(
    r"[a-z][a-z0-9+.-]*://(?P<user>[^/?#@\s]+:[^/?#@\s]+@)?[^\s?#]*(?:\?(?P<query>[^\s#]*))?", re.IGNORECASE
)


class Secret(Struct, frozen=True):
    """A secret that stands in a container in clear text."""

    path: Path
    variable: str
    """Name of the variable of the environment that shall hold it."""
    value: str
    place: str
    """Where it stood, in words."""


def find_secrets(data: dict[str, Any]) -> list[Secret]:
    """All secrets in the plain data of a container. Equal values share a variable."""
    found: list[Secret] = []
    names: dict[str, str] = {}
    for kind in ("clients", "variables", "triggers", "transformations", "tags"):
        for index, entity in enumerate(data.get(kind, ())):
            for path, value in _secrets_in(entity, (), str(entity.get("name", ""))):
                steps = [
                    str(step)
                    for step in path
                    if step not in ("parameters", "value") and isinstance(step, str)
                ]
                words = [str(entity.get("name", "")), *steps]
                if value not in names:
                    names[value] = unused(_variable(words), set(names.values()), "{}_{}")
                place = ".".join([f'{kind[:-1]} "{entity.get("name")}"', *steps])
                found.append(Secret((kind, index, *path), names[value], value, place))
    return found


def without_secrets(data: dict[str, Any], secrets: list[Secret]) -> dict[str, Any]:
    """A copy of the data with `${VARIABLE}` in the place of each secret."""
    by_path = {secret.path: f"${{{secret.variable}}}" for secret in secrets}
    copied: dict[str, Any] = _replaced(data, (), by_path)
    return copied


def _replaced(value: Any, path: Path, by_path: dict[Path, str]) -> Any:
    if path in by_path:
        return by_path[path]
    if isinstance(value, dict):
        return {key: _replaced(item, (*path, key), by_path) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, (*path, index), by_path) for index, item in enumerate(value)]
    return value


def _secrets_in(value: Any, path: Path, label: str) -> Iterator[tuple[Path, str]]:
    """Place and text of each secret in `value`, which is called `label`."""
    if isinstance(value, dict):
        named = next((str(value[key]) for key in _LABELS if isinstance(value.get(key), str)), "")
        is_condition = "compare_with" in value and "operator" in value
        for key, item in value.items():
            if not path and key in _SKIPPED:
                continue
            if is_condition and key != "compare_with":
                continue
            called = _name_of(value) if is_condition else key
            if key in _OWN:  # `parameters: {value: ...}` of a constant is called as the constant
                called = f"{named} {label}" if path and named else label
            yield from _secrets_in(item, (*path, key), called)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _secrets_in(item, (*path, index), label)
    elif isinstance(value, str) and is_secret(value, label):
        yield path, value


def _name_of(condition: dict[str, Any]) -> str:
    """What a condition looks at: its left side, or the header, cookie, ... of a request."""
    return str(condition.get("value", condition.get("name", "")))


def is_secret(text: str, label: str = "") -> bool:
    """Whether a text, or one that is called `label`, is a secret in clear text."""
    if len(text) < _SHORTEST or "{{" in text or "${" in text:
        return False
    if _LOOKS.match(text) or _CHANCE.fullmatch(text) or _is_in_url(text):
        return True
    return bool(_NAME.search(_HUMP.sub("_", label).lower())) and not re.search(r"\s", text)


def _is_in_url(text: str) -> bool:
    """Whether it is a URL with a password, or with a secret in its query."""
    found = _URL.fullmatch(text)
    if found is None:
        return False
    cells = [cell.partition("=") for cell in (found["query"] or "").split("&")]
    return bool(found["user"]) or any(is_secret(value, name) for name, _, value in cells)


def hidden(value: Any, secrets: Mapping[str, str]) -> Any:
    """A text, or plain data, with `${VARIABLE}` in the place of each secret, also where it stands in a URL;
    `secrets` are values and variables."""
    if isinstance(value, dict):
        return {key: hidden(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [hidden(item, secrets) for item in value]
    if isinstance(value, str):
        for secret, variable in secrets.items():
            for text in (secret, quote(secret, safe="")):
                value = value.replace(text, f"${{{variable}}}")
    return value


def _variable(words: list[str]) -> str:
    joined = "_".join(part for word in words for part in _HUMP.sub("_", word).split("_") if part)
    name = re.sub("[^A-Za-z0-9_]", "", joined).upper()
    return name if name[:1].isalpha() else f"SECRET_{name}".rstrip("_")
