"""The socket that the world connects to."""

import errno
import socket

from sgtm.errors import SettingsError, SgtmError
from sgtm.settings import Settings

BACKLOG = 1024


class AddressInUse(SgtmError):
    """Another process listens there. Trying again later may help."""


def bind(settings: Settings) -> socket.socket:
    """The listening socket. Raises AddressInUse or SettingsError."""
    host = settings.host
    try:
        return socket.create_server(
            (host, settings.port),
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            backlog=BACKLOG,
            dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        where = f"address {host}, port {settings.port}"
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(
                "another process listens there",
                where=where,
                mend="stop it, or give another --port or SGTM_PORT",
            ) from None
        reason = (error.strerror or "cannot be bound").partition(" (while")[0]
        raise SettingsError(reason, where=where, mend="give another --host or --port") from None
