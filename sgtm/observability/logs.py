"""Log lines: JSON for machines, plain text for a terminal; never a flood, never personal data.

A line has a constant message; what varies stands under stable keys (`log.info("client raised",
extra={"client": name})`). An exception is told by its class and the place in the code: its text
may quote the request.

SPEC: reliability 6, logs: control characters escaped, at most 8 KB a line, at most ten lines a second
for each message, then a count; a writer that never blocks, with a count of what it dropped.
"""

import json
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO

from sgtm.error_codes import code_of_line

REQUESTS = "sgtm.requests"
"""Lines that have a share of their own (`request_log.py`) instead of level and limit."""
MAX_LINE_BYTES = 8192
LINES_PER_SECOND = 10
WAITING_LINES = 10_000
MAX_MESSAGES = 1000
"""Different messages that are counted in one second; our messages are constants, so it is ample."""

left_out = {"repeated": 0, "unread": 0}
"""Lines of this process that nobody saw: over the limit, or not read in time."""

_OWN_KEYS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def configure(level: str, style: str, stream: TextIO | None = None) -> logging.Handler:
    """Send the log of the whole process to `stream` (stderr). `style`: auto, json or text."""
    stream = stream or sys.stderr
    is_text = style == "text" or (style == "auto" and stream.isatty())
    handler = LineHandler(stream)
    handler.setFormatter(TextFormatter() if is_text else JsonFormatter())
    handler.addFilter(RateLimit(handler.handle))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger(REQUESTS).setLevel(logging.INFO)
    # asyncio's own lines quote task and transport reprs, aiohttp's quote requests
    for name in ("asyncio", "aiohttp"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return handler


class LineHandler(logging.Handler):
    """Writes lines in a thread of its own: a reader of our stderr that hangs never stops the server.

    When WAITING_LINES are waiting, further ones are dropped and counted.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(WAITING_LINES)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the line to the thread; never waits."""
        try:
            if self._dropped:
                text = "log lines were dropped: nobody read them in time"
                lost = _own_record(text, times=self._dropped)
                self._lines.put_nowait(self.format(lost))
                self._dropped = 0
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._dropped += 1
            left_out["unread"] += 1

    def close(self) -> None:
        """Write what is waiting, two seconds at most. Called at the end of the process."""
        with suppress(queue.Full):
            self._lines.put_nowait(None)
        self._thread.join(2.0)
        super().close()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            with suppress(OSError, ValueError):  # the stream is gone: nobody is left to be told
                self._stream.write(line + "\n")
                self._stream.flush()


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ts, level, logger, message, `see` (a code), then the keys of `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; a longer one keeps its head and says so."""
        fields = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_see(record),
            **dict(_extra(record)),
        }
        line = json.dumps(fields, default=_described)
        if len(line) <= MAX_LINE_BYTES:
            return line
        head = {key: fields[key] for key in ("ts", "level", "logger")}
        return json.dumps(head | {"message": fields["message"][:1000], "cut": len(line)})


class TextFormatter(logging.Formatter):
    """For people: time, level, message, key=value."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, control characters escaped."""
        moment = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        pairs = "".join(f"  {key}={value}" for key, value in (*_see(record).items(), *_extra(record)))
        line = _escaped(f"{moment} {record.levelname.lower():7} {record.getMessage()}{pairs}")
        return line[:MAX_LINE_BYTES]


class RateLimit(logging.Filter):
    """Lets ten lines a second of each message through, then tells how many were left out."""

    def __init__(
        self, emit: Callable[[logging.LogRecord], Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._emit, self._clock = emit, clock
        self._second = 0
        self._counts: dict[tuple[str, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line may be written."""
        if record.name == REQUESTS:
            return True
        second = int(self._clock())
        if second != self._second:
            self._second, counts = second, self._counts
            self._counts = {}
            for (name, message), count in counts.items():
                if count > LINES_PER_SECOND:
                    self._tell(name, message, count - LINES_PER_SECOND)
        key = (record.name, str(record.msg))
        if key not in self._counts and len(self._counts) >= MAX_MESSAGES:
            left_out["repeated"] += 1
            return False
        count = self._counts[key] = self._counts.get(key, 0) + 1
        if count > LINES_PER_SECOND:
            left_out["repeated"] += 1
        return count <= LINES_PER_SECOND

    def _tell(self, name: str, message: str, count: int) -> None:
        self._emit(_own_record("a line was repeated and left out", name, of=message, times=count))


def _own_record(message: str, name: str = __name__, **extra: Any) -> logging.LogRecord:
    fields = {"name": name, "levelno": logging.WARNING, "levelname": "WARNING", "msg": message}
    return logging.makeLogRecord({**fields, **extra})


def _see(record: logging.LogRecord) -> dict[str, str]:
    """The code under which docs/reference/errors.md explains the line, if it is one that needs it."""
    code = code_of_line(str(record.msg))
    return {"see": code} if code else {}


def _extra(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    for key, value in vars(record).items():
        if key not in _OWN_KEYS:
            yield key, value
    if record.exc_info and record.exc_info[0] is not None:
        yield "error", record.exc_info[0].__name__
        traceback = record.exc_info[2]
        while traceback is not None and traceback.tb_next is not None:
            traceback = traceback.tb_next
        if traceback is not None:
            code = traceback.tb_frame.f_code
            yield "at", f"{code.co_filename}:{traceback.tb_lineno} in {code.co_qualname}"


def _described(value: object) -> str:
    return f"<{type(value).__name__}>"


def _escaped(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
