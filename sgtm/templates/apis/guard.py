"""The guard before each API: a call without its permission does nothing but fail, and says why.

SPEC: sandbox-api 2 (A denied call), google-runtime 5.4: the error can be caught; if it is not, the run fails.
"""

from typing import Any

from sgtm._fast.sandbox_convert import to_text
from sgtm._fast.sandbox_values import Run, ScriptError
from sgtm.templates.host import Host


class PermissionRefused(ScriptError):
    """A call that the template has no permission for."""


def demand(run: Run, api: str, permission: str, *asked: Any, shown: str = "") -> None:
    """Raises PermissionRefused unless the template may do what is asked.

    `asked` is what `queryPermission` takes after the permission's name; `shown` is what the error says of
    it: names, and addresses, of which it leaves out user, query and fragment. Nothing that may be somebody's.
    """
    host: Host = run.host
    if host.permissions.allows(permission, *asked):
        return
    of_what = f" for {bare_url(shown)[:MAX_SHOWN]}" if shown else ""
    if permission in host.permissions.granted:
        why = f"its permission {permission} does not allow it"
    else:
        why = f"it does not have the permission {permission}"
    raise PermissionRefused(f"{api}{of_what}: the template of {host.kind} {host.name!r} may not, {why}")


MAX_SHOWN = 200
"""Characters of an error that come from the template."""


def asked_values(run: Run, values: list[Any]) -> list[Any]:
    """Arguments of `queryPermission` as the rules take them: texts, and objects and lists of texts."""
    return [_asked_value(run, value) for value in values[:MAX_ASKED]]


MAX_ASKED = 10


def _asked_value(run: Run, value: Any) -> Any:
    if isinstance(value, dict):
        run.make_elements(len(value))
        return {key: to_text(run, member) for key, member in value.items()}
    if isinstance(value, list):
        run.make_elements(len(value))
        return [to_text(run, member) for member in value]
    return to_text(run, value)


def bare_url(url: str) -> str:
    """An address as errors show it: without user, query and fragment."""
    scheme, separator, rest = url.partition("://")
    place = rest.partition("#")[0].partition("?")[0]
    authority, slash, path = place.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"
