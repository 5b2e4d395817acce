"""templateDataStorage: what the runs of one template remember in one worker.

SPEC: sandbox-api 1.3 (values are copied both ways, null removes), reliability 4.2 (64 KB a value, 1 MB a
template).
"""

from typing import Any

from msgspec import UNSET

from sgtm._fast.sandbox_border import engine_value, house_value
from sgtm._fast.sandbox_convert import to_text
from sgtm._fast.sandbox_json import stringify
from sgtm._fast.sandbox_values import LimitError, Run
from sgtm.templates.apis.declaration import api
from sgtm.templates.apis.guard import demand
from sgtm.templates.arguments import Arguments, argument
from sgtm.templates.host import Storage, host_of

MAX_VALUE, MAX_TEMPLATE = 64 << 10, 1 << 20
"""Characters of one value as JSON, and of all values of a template with their keys."""


class TemplateStorage:
    """What one template has kept, within bounds (a `Storage` of host.py)."""

    def __init__(self, max_size: int = MAX_TEMPLATE) -> None:
        self._values: dict[str, tuple[Any, int]] = {}
        self._size, self._max_size = 0, max_size

    def get(self, key: str) -> Any:
        """The value, not copied; UNSET where there is none."""
        return self._values.get(key, (UNSET, 0))[0]

    def set(self, key: str, value: Any, size: int) -> None:
        """Keep it; `size` is that of its text. Raises LimitError beyond the bounds."""
        if size > MAX_VALUE:
            raise LimitError("storage_value", f"a stored value has {MAX_VALUE:,} characters at most")
        size += len(key) + _OVERHEAD
        room = self._max_size - self._size + self._values.get(key, (None, 0))[1]
        if size > room:
            raise LimitError("storage_bytes", f"a template stores {self._max_size:,} characters at most")
        self.remove(key)
        self._values[key], self._size = (value, size), self._size + size

    def remove(self, key: str) -> None:
        """Forget one."""
        self._size -= self._values.pop(key, (None, 0))[1]

    def clear(self) -> None:
        """Forget all."""
        self._values.clear()
        self._size = 0


_OVERHEAD = 64
"""What an entry takes besides its text."""


def _storage(run: Run, method: str) -> Storage:
    demand(run, f"templateDataStorage.{method}", "access_template_storage")
    return host_of(run).storage


@api("templateDataStorage.getItemCopy", "access_template_storage")
def get_item_copy(run: Run, args: Arguments) -> Any:
    """A copy of what is stored under a key; null where there is nothing."""
    value = _storage(run, "getItemCopy").get(to_text(run, argument(args, 0)))
    return None if value is UNSET else engine_value(run, value)


@api("templateDataStorage.setItemCopy", "access_template_storage")
def set_item_copy(run: Run, args: Arguments) -> Any:
    """Stores a copy of a value under a key; null removes what is there."""
    storage, key, value = _storage(run, "setItemCopy"), to_text(run, argument(args, 0)), argument(args, 1)
    run.charge(len(key) >> 4)
    plain = house_value(run, value)
    if plain is None or plain is UNSET:
        storage.remove(key)
    else:
        text = stringify(run, plain)
        storage.set(key, plain, len(text) if isinstance(text, str) else 0)
    return UNSET


@api("templateDataStorage.removeItem", "access_template_storage")
def remove_item(run: Run, args: Arguments) -> Any:
    """Removes what is stored under a key."""
    _storage(run, "removeItem").remove(to_text(run, argument(args, 0)))
    return UNSET


@api("templateDataStorage.clear", "access_template_storage")
def clear(run: Run, args: Arguments) -> Any:
    """Removes all that this template has stored."""
    _storage(run, "clear").clear()
    return UNSET
