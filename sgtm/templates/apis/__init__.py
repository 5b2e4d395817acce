"""The APIs of a server: what `require` gives to clients, tags and variables (SPEC: sandbox-api 1).

declaration.py  how one is declared      guard.py  the permission that it needs
One module for each section; a function reads `host_of(run)` and leaves in it what it wants done.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from sgtm._fast.sandbox_functions import Require
from sgtm._fast.sandbox_values import HostObject, Native, Run, ScriptError
from sgtm.templates.apis import (  # noqa: F401 - each declares its APIs
    chance,
    container,
    event_data,
    firestore,
    google,
    hits,
    http,
    logging,
    messages,
    request,
    response,
    signatures,
    storage,
)
from sgtm.templates.apis.declaration import DECLARED, KINDS, Api, Kind
from sgtm.templates.arguments import Arguments
from sgtm.templates.library import LIBRARY
from sgtm.templates.script import require_of

__all__ = ["DECLARED", "KINDS", "PERMISSION_OF", "require_for", "table_for"]

PERMISSION_OF: dict[str, str] = {
    api.name.partition(".")[0]: api.permission for api in DECLARED.values() if api.permission
}
"""API -> permission; the others need none."""


@cache
def table_for(kind: Kind) -> dict[str, Any]:
    """Name -> function or object, for all runs of templates of this kind the same.

    What the kind does not have is there too, and says so when it is called: templates require all that they
    know at their top, and go ways in which they need less."""
    table: dict[str, Any] = dict(LIBRARY)
    objects: dict[str, dict[str, Any]] = {}
    for api in DECLARED.values():
        native = api.native if kind in api.kinds else Native(api.name, _not_for(kind, api))
        owner, _, member = api.name.partition(".")
        if member:
            objects.setdefault(owner, {})[member] = native
        else:
            table[api.name] = native
    return table | {name: HostObject(name, members) for name, members in objects.items()}


@cache
def require_for(kind: Kind) -> Require:
    """`require` over this table."""
    return require_of(table_for(kind))


def _not_for(kind: Kind, api: Api) -> Callable[[Run, Arguments], Any]:
    def refuse(run: Run, args: Arguments) -> Any:
        raise ScriptError(f"{api.name} is for {' and '.join(api.kinds)} templates, and this is a {kind}")

    return refuse
