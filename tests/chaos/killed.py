"""`sgtm serve` that kills itself at a certain moment: python killed.py HOOK COUNT serve ...

The hooks of reliability 1.4 row 1; the process dies at the COUNT-th time. `-` never dies.
"""

import asyncio
import functools
import os
import signal
import sys
import threading

from sgtm.cli import main
from sgtm.delivery.context.file import ContextFile
from sgtm.delivery.http_sender import HttpSender
from sgtm.delivery.outbox.file import OutboxFile
from sgtm.delivery.outbox.group import Group
from sgtm.delivery.outbox.sqlite import SqliteOutbox

HOOKS = (
    "before_commit",
    "after_commit",
    "after_answer",
    "request_sent",
    "answer_read",
    "checkpoint",
    "taking_over",
    "before_tags",
    "before_meeting",
    "after_meeting",
)


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def soon(delay_s):
    """Die in a moment, whatever is going on then."""
    threading.Timer(delay_s, die).start()


def before(owner, name, count, act=die):
    """Act when `owner.name` is called for the `count`-th time, before it does anything."""
    wrapped, calls = getattr(owner, name), iter(range(1, 1_000_000))

    @functools.wraps(wrapped)
    def call(*arguments, **keywords):
        if next(calls) == count:
            act()
        return wrapped(*arguments, **keywords)

    setattr(owner, name, call)


def after(owner, name, count):
    wrapped, calls = getattr(owner, name), iter(range(1, 1_000_000))

    @functools.wraps(wrapped)
    def call(*arguments, **keywords):
        result = wrapped(*arguments, **keywords)
        if next(calls) == count:
            die()
        return result

    setattr(owner, name, call)


def install(hook, count):
    match hook:
        case "before_commit":
            before(OutboxFile, "write", count)
        case "after_commit":
            after(OutboxFile, "write", count)
        case "after_answer":
            before(Group, "done", count, lambda: asyncio.get_running_loop().call_later(0.002, die))
        case "request_sent":
            before(HttpSender, "send", count, lambda: asyncio.get_running_loop().call_later(0.001, die))
        case "answer_read":
            before(SqliteOutbox, "settle", count)
        case "checkpoint":
            before(OutboxFile, "checkpoint", 1, lambda: soon(0.0003))
        case "taking_over":
            from sgtm.delivery.outbox.ledger import Ledger  # noqa: PLC0415

            before(Ledger, "adopt", count, lambda: soon(0.001))
        case "before_meeting":  # the record is committed, and the store does not know its event yet
            before(ContextFile, "meet", count)
        case "after_meeting":  # who is sent is decided, and nobody was told
            after(ContextFile, "commit", count)
        case "before_tags":  # a process that is slow: the record is committed, and no tag has had its turn
            from sgtm.pipeline import Pipeline  # noqa: PLC0415

            setattr(Pipeline, "_run_events", lambda pipeline, hit: None)  # noqa: B010
            after(OutboxFile, "write", count)


if __name__ == "__main__":
    hook, count, *arguments = sys.argv[1:]
    install(hook, int(count))
    sys.exit(main(arguments))
