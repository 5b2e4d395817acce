"""logToConsole and queryPermission (SPEC: sandbox-api 1.3, 1.5; google-runtime 5.4)."""

from typing import Any

from msgspec import UNSET

from sgtm._fast.sandbox_convert import to_text
from sgtm._fast.sandbox_json import stringify
from sgtm._fast.sandbox_values import Run
from sgtm.templates.apis.declaration import api
from sgtm.templates.apis.guard import asked_values
from sgtm.templates.arguments import Arguments, argument
from sgtm.templates.host import host_of

MAX_LINE = 4_096
"""Characters of one line."""


@api("logToConsole", "logging")
def log_to_console(run: Run, args: Arguments) -> Any:
    """Writes a line that preview and `explain` show; without its permission it does nothing."""
    host = host_of(run)
    if host.permissions.allows("logging", host.container.is_debug or host.container.is_preview):
        host.say(line_of(run, args))
    return UNSET


def line_of(run: Run, values: list[Any]) -> str:
    """Values as a line of the console: objects and arrays as JSON."""
    return " ".join([_shown(run, value) for value in values])[:MAX_LINE]


def _shown(run: Run, value: Any) -> str:
    if isinstance(value, (dict, list)):
        text = stringify(run, value)
        return text if isinstance(text, str) else to_text(run, value)
    return to_text(run, value)


@api("queryPermission", cost=10)
def query_permission(run: Run, args: Arguments) -> bool:
    """Whether a call that needs this permission would be allowed."""
    host = host_of(run)
    name, *asked = asked_values(run, args) or [""]
    if name == "logging":
        asked = [host.container.is_debug or host.container.is_preview]
    return host.permissions.allows(to_text(run, argument(args, 0)), *asked)
