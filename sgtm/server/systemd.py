"""What systemd is told: ready, reloading, stopping, and that we are alive (sd_notify(3)).

A datagram to the socket that NOTIFY_SOCKET names; without one nothing is said. The library of the
distribution would be a dependency for these few lines.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import MutableMapping

log = logging.getLogger("sgtm.server")


class ServiceManager:
    """The manager of this process, if there is one. Takes its variables out of `environment`."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self._address = environment.pop("NOTIFY_SOCKET", "")
        self._watchdog_s = _watchdog_s(environment)

    def ready(self) -> None:
        """It serves (again)."""
        self._say("READY=1")

    def reloading(self) -> None:
        """A reload has begun; `ready` ends it."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The drain has begun."""
        self._say("STOPPING=1")

    async def watch(self) -> None:
        """Say that the event loop turns, twice in each interval of the watchdog's."""
        while self._watchdog_s:
            self._say("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_s / 2)

    def _say(self, lines: str) -> None:
        if not self._address:
            return
        # `@` stands for the zero byte of an abstract address
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(lines.encode(), address)
        except OSError as error:
            log.warning("the service manager cannot be told", extra={"error": type(error).__name__})


def _watchdog_s(environment: MutableMapping[str, str]) -> float:
    """Seconds within which it wants to hear of us; 0: it does not."""
    microseconds, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or (pid and pid != str(os.getpid())):
        return 0.0
    return int(microseconds) / 1_000_000
