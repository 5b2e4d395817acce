"""Plain data -> the text of a container.yaml, as a person would write it.

Block style, keys in the given order, comments above the entities that they are about. Every text that
our reader would take for something else stands in quotes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from sgtm.container.document import Path, plain_value

_WIDTH = 100_000  # lines are not folded: a folded text is hard to search for


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)  # lists stand below their key

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text and not text.endswith("\n\n") and text.strip() else None
    # YAML 1.1 and our reader disagree about what is a number or a line: quotes end the argument
    if not isinstance(plain_value(text), str) or not text.replace("\n", "").isprintable():
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def write_container(
    data: Mapping[str, Any], comments: Mapping[Path, Sequence[str]] | None = None, head: Sequence[str] = ()
) -> str:
    """The text of a container.yaml. `comments` stand above the entities at these paths, `head` below the
    first line, which is the format version."""
    text = ""
    for key, value in data.items():
        text += _list(key, value, comments or {}) if isinstance(value, list) else _dump({key: value})
        if key == "sgtm":
            text += _commented(head, "")
    return text


def _list(key: str, entities: list[Any], comments: Mapping[Path, Sequence[str]]) -> str:
    text = f"\n{key}:\n"
    for index, entity in enumerate(entities):
        text += _commented(comments.get((key, index), ()), "  ")
        lines = _dump([entity]).removesuffix("\n").split("\n")
        text += "".join(f"  {line}\n" if line.strip() else f"{line}\n" for line in lines)
    return text


def _dump(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)


def _commented(lines: Sequence[str], indent: str) -> str:
    return "".join(f"{indent}# {line}".rstrip() + "\n" for line in lines)
