"""A container of either form -> the files of a container.yaml that means the same.

Custom templates become files of their own, secrets become `${VARIABLES}` with a `.env.example`, notes and
folders comments. What is not understood stays in the file with its type, and a comment says what it does.
"""

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from msgspec import Struct

from sgtm.container.document import Path
from sgtm.container.google.secrets import Secret, find_secrets, without_secrets
from sgtm.container.google.translation import Translation
from sgtm.container.writing import write_container

TEMPLATE_FOLDER = "templates"
_NOT_IN_NAMES = re.compile("[^a-z0-9]+")


class Converted(Struct):
    """Files to write, by their name below the folder of the container.yaml."""

    files: dict[str, str]
    secrets: list[Secret]


def convert(translation: Translation, came_from: str) -> Converted:
    """What `sgtm convert` writes: `container.yaml`, its templates, `.env.example` if there are secrets."""
    secrets = find_secrets(translation.document.data)
    data = without_secrets(translation.document.data, secrets)
    templates = _templates(data.get("custom_templates", []))
    if templates:
        data["custom_templates"] = [
            {key: value for key, value in entity.items() if key != "source"} | {"file": name}
            for entity, name in zip(data["custom_templates"], templates, strict=True)
        ]
    head = [f"made by `sgtm convert` from {PurePath(came_from).name}"]
    head += ["set the variables of .env.example before it runs"] if secrets else []
    head += [f"{remark.what}: {remark.mend}" for remark in translation.remarks if not remark.path]
    files = {"container.yaml": write_container(data, _comments(translation), head), **templates}
    if secrets:
        files[".env.example"] = environment_file(secrets, with_values=False)
    return Converted(files, secrets)


def _comments(translation: Translation) -> dict[Path, Sequence[str]]:
    """Above each entity: its folder and notes, then what was found out about it."""
    comments: dict[Path, list[str]] = {path: list(lines) for path, lines in translation.comments.items()}
    for remark in translation.remarks:
        if remark.path:
            comments.setdefault(remark.path[:2], []).append(f"NOTE: {remark.what}")
    return dict(comments)


def _templates(entities: list[dict[str, Any]]) -> dict[str, str]:
    """File name -> source, in list order."""
    files: dict[str, str] = {}
    for entity in entities:
        stem = _NOT_IN_NAMES.sub("-", entity["name"].lower()).strip("-")[:60] or "template"
        name, number = f"{TEMPLATE_FOLDER}/{stem}.tpl", 1
        while name in files:
            number += 1
            name = f"{TEMPLATE_FOLDER}/{stem}-{number}.tpl"
        files[name] = entity["source"].replace("$${", "${")
    return files


def environment_file(secrets: Sequence[Secret], *, with_values: bool) -> str:
    """`NAME=value` for each secret, with a comment that says where it stood."""
    places: dict[str, list[Secret]] = {}
    for secret in secrets:
        places.setdefault(secret.variable, []).append(secret)
    text = ""
    for variable, found in places.items():
        value = _quoted(found[0].value.replace("$${", "${")) if with_values else ""
        text += "".join(f"# {secret.place}\n" for secret in found) + f"{variable}={value}\n"
    return text


def _quoted(value: str) -> str:
    return value if re.fullmatch(r"[\w.:/@+=~-]*", value) else "'" + value.replace("'", "'\\''") + "'"
