"""Small exports made by hand, in Google's words."""

import json
from typing import Any

from sgtm.container.google.json_document import read_json
from sgtm.container.google.translation import Translation, translate


def template(key: str, value: str) -> dict[str, Any]:
    """A TEMPLATE parameter."""
    return {"type": "TEMPLATE", "key": key, "value": value}


def boolean(key: str, value: bool) -> dict[str, Any]:
    """A BOOLEAN parameter."""
    return {"type": "BOOLEAN", "key": key, "value": "true" if value else "false"}


def table(key: str, *rows: dict[str, str]) -> dict[str, Any]:
    """A table: a LIST of MAPs."""
    maps = [{"type": "MAP", "map": [template(*cell) for cell in row.items()]} for row in rows]
    return {"type": "LIST", "key": key, "list": maps}


def condition(operator: str, left: str, right: str, *options: dict[str, Any]) -> dict[str, Any]:
    """A condition; `options` are further parameters, as `negate`."""
    return {"type": operator, "parameter": [template("arg0", left), template("arg1", right), *options]}


def export(**lists: Any) -> bytes:
    """An export with these lists, as bytes."""
    version = {"containerId": "7", "containerVersionId": "3", **lists}
    return json.dumps({"exportFormatVersion": 2, "containerVersion": version}, indent=1).encode()


def translated(**lists: Any) -> Translation:
    """What an export with these lists becomes."""
    return translate(read_json(export(**lists)))


def said(translation: Translation) -> list[str]:
    """What was remarked, as a person reads it."""
    return [f"{translation.words(one.path)}: {one.what}" for one in translation.remarks]
