"""What is said of an exception that nobody awaited."""

import asyncio
import logging
from typing import Any

log = logging.getLogger("sgtm.server")


def log_loop_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """By class and place: its text may hold personal data."""
    error = context.get("exception")
    log.error(
        "error outside of any request",
        exc_info=(type(error), error, error.__traceback__) if isinstance(error, BaseException) else None,
    )
