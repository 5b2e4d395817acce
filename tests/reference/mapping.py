"""Plain twin of sgtm/_fast/mapping.pyx: slow on purpose, written for reading."""

from sgtm.event import number_text, to_number
from sgtm.identifiers import plain_text

AS_IS, TEXT, PLAIN_TEXT, NUMBER, VALUES = range(5)


class Field:
    def __init__(self, name, conversion, *key_paths, default=None):
        if conversion not in range(5):
            raise ValueError(f"{name}: there is no conversion {conversion}")
        self.name, self.conversion, self.key_paths, self.default = name, conversion, key_paths, default


class Mapping:
    def __init__(self, *fields):
        self.fields = fields

    def read(self, data):
        found = {field.name: _first(field, data) for field in self.fields}
        return {name: value for name, value in found.items() if value is not None}


def convert(value: object, conversion: int) -> object:
    if value is None:
        return None
    if conversion == TEXT:
        return _text(value)
    if conversion == PLAIN_TEXT:
        return plain_text(value)
    if conversion == NUMBER:
        number = to_number(value)
        return number if number is not None and abs(number) < 1e300 else None
    if conversion == VALUES:
        several = value if isinstance(value, list) else [value]
        return [one for one in several if plain_text(one) is not None] or None
    return value


def _text(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return number_text(value)
    is_something = isinstance(value, str) and value.strip() not in ("", "undefined", "null", "(not set)")
    return value if is_something else None


def _first(field, data):
    for key_path in field.key_paths:
        value = convert(_at(data, key_path.split(".")), field.conversion)
        if value is not None:
            return value
    return field.default


def _at(holder, steps):
    step, *rest = steps
    if not isinstance(holder, dict):
        return None
    if step.endswith("[]"):
        value = holder.get(step[:-2])
        several = value if isinstance(value, list) else [value]
        return [one.get(rest[0]) for one in several if isinstance(one, dict)]
    value = holder.get(step)
    return _at(value, rest) if rest else value
