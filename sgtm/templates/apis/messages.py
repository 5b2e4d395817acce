"""Messages between the templates of one request, delivered at once (SPEC: sandbox-api 1.3).

A listener runs in its own run, with its own limits: a message is copied into it, functions stay behind, and
what goes wrong in it is not the sender's failure.
"""

from typing import Any

from msgspec import UNSET

from sgtm._fast.sandbox_border import engine_value, house_value
from sgtm._fast.sandbox_convert import to_text
from sgtm._fast.sandbox_values import Callable, LimitError, Run, SandboxError
from sgtm.templates.apis.declaration import api
from sgtm.templates.apis.guard import MAX_SHOWN, demand
from sgtm.templates.arguments import Arguments, argument, refused
from sgtm.templates.host import host_of

MAX_LISTENERS = 20
"""Of one request."""


class _Listener:
    """A function that hears messages. One that is being called is not called again: messages that answer
    one another end."""

    def __init__(self, run: Run, callback: Callable) -> None:
        self._run, self._callback, self._is_busy = run, callback, False

    def __call__(self, kind: str, message: Any) -> None:
        if self._is_busy:
            return
        self._is_busy = True
        run, host = self._run, host_of(self._run)
        depth, nesting = run.depth, run.nesting
        try:
            self._callback(run, kind, engine_value(run, message))
        except SandboxError as error:
            run.depth, run.nesting = depth, nesting
            if len(host.log) < host.log_lines:
                host.say(f"a message listener failed: {error}"[: 2 * MAX_SHOWN])
        finally:
            self._is_busy = False


def _kind(run: Run, api: str, action: str, args: Arguments) -> str:
    kind = to_text(run, argument(args, 0))
    demand(run, api, "use_message", action, kind, shown=f"messages of type {kind}")
    return kind


@api("addMessageListener", "use_message")
def add_message_listener(run: Run, args: Arguments) -> Any:
    """Calls a function with each message of a type that a template of this request sends."""
    kind, callback = _kind(run, "addMessageListener", "listen", args), argument(args, 1)
    if not isinstance(callback, Callable):
        raise refused("addMessageListener", args)
    listeners = host_of(run).listeners
    if sum(map(len, listeners.values())) >= MAX_LISTENERS:
        raise LimitError("message_listeners", f"a request has {MAX_LISTENERS} message listeners at most")
    listeners.setdefault(kind, []).append(_Listener(run, callback))
    return UNSET


@api("hasMessageListener", "use_message")
def has_message_listener(run: Run, args: Arguments) -> bool:
    """Whether anybody listens to messages of a type."""
    kind = _kind(run, "hasMessageListener", "listen", args)
    return bool(host_of(run).listeners.get(kind))


@api("sendMessage", "use_message", cost=10)
def send_message(run: Run, args: Arguments) -> Any:
    """Sends an object to all who listen to its type; anything but an object is not sent."""
    kind, message = _kind(run, "sendMessage", "send", args), argument(args, 1)
    if isinstance(message, (dict, list)):
        plain = house_value(run, message)
        for listener in list(host_of(run).listeners.get(kind, ())):
            listener(kind, plain)
    return UNSET
