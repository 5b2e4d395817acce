"""The socket that the world connects to."""

import errno
import socket

from sgtm.errors import SettingsError, SgtmError
from sgtm.settings import Settings

BACKLOG = 4096
"""Connections that wait to be accepted, or what the kernel allows (`somaxconn`): thousands that come at once
shall not hold up the one behind them by seconds, which is what a dropped packet costs."""


class AddressInUse(SgtmError):
    """Another process listens there. Trying again later may help."""


def bind(settings: Settings) -> socket.socket:
    """The only socket there. Raises AddressInUse or SettingsError."""
    try:
        return _listen(settings, settings.port)
    except OSError as error:
        raise _described(error, settings.host, settings.port) from None


class SharedAddress:
    """One address, on which several sockets listen: the kernel spreads connections over them.

    Somebody else could listen there too without anybody's notice, so the first time it is tried
    whether the address is free. Raises AddressInUse or SettingsError."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._port = settings, settings.port
        try:
            self._first: socket.socket | None = self._open_first()
        except OSError as error:
            raise _described(error, settings.host, settings.port) from None

    def bind(self) -> socket.socket:
        """One more socket. Raises AddressInUse or SettingsError."""
        first, self._first = self._first, None
        if first is not None:
            return first
        try:
            return _listen(self._settings, self._port, is_shared=True)
        except OSError as error:
            raise _described(error, self._settings.host, self._port) from None

    def _open_first(self) -> socket.socket:
        if self._port:
            family = socket.AF_INET6 if ":" in self._settings.host else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as alone:
                alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                alone.bind((self._settings.host, self._port))
        first = _listen(self._settings, self._port, is_shared=True)
        self._port = first.getsockname()[1]
        return first


def url_of(listening: socket.socket, *, is_tls: bool = False) -> str:
    """Where a socket listens, for example `http://127.0.0.1:8080`."""
    host, port = listening.getsockname()[:2]
    scheme = "https" if is_tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _listen(settings: Settings, port: int, *, is_shared: bool = False) -> socket.socket:
    host = settings.host
    return socket.create_server(
        (host, port),
        family=socket.AF_INET6 if ":" in host else socket.AF_INET,
        backlog=BACKLOG,
        reuse_port=is_shared,
        dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
    )


def _described(error: OSError, host: str, port: int) -> SgtmError:
    where = f"address {host}, port {port}"
    if error.errno == errno.EADDRINUSE:
        return AddressInUse(
            "another process listens there",
            where=where,
            mend="stop it, or give another --port or SGTM_PORT",
        )
    reason = (error.strerror or "cannot be bound").partition(" (while")[0]
    return SettingsError(reason, where=where, mend="give another --host or --port")
