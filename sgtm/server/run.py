"""Run a server: from a container and settings to the exit status.

Exit status: 0 after an orderly end, 1 when it was cut short or no worker lives, 2 where container or
settings cannot be used, 75 where the port is taken (SPEC: reliability 6).
"""

import logging
import os
import socket
from pathlib import Path
from typing import Any

import uvloop
from msgspec.structs import replace

from sgtm import __version__
from sgtm.container.compile import load_container
from sgtm.container.container import Container
from sgtm.delivery.outbox.opening import describe
from sgtm.errors import SettingsError
from sgtm.server.collector import spare_modules
from sgtm.server.connection import require_compiled_parser
from sgtm.server.crew import Crew
from sgtm.server.data_folder import admin_token, note_admin_url
from sgtm.server.listening import AddressInUse, SharedAddress, bind, url_of
from sgtm.server.questions import read_source
from sgtm.server.service import Service
from sgtm.server.solo import Solo
from sgtm.server.supervisor import Supervisor
from sgtm.server.systemd import ServiceManager
from sgtm.server.tracing import require_tracing
from sgtm.server.worker import Worker
from sgtm.settings import Settings

log = logging.getLogger("sgtm.server")

ADMIN_PORT = 8081
"""Where no port was asked for; a free one if it is taken."""

AdminSocket = tuple[socket.socket, str]


def serve(path: str | Path, settings: Settings) -> int:
    """Serve the container at `path` until a signal; the exit status.

    Raises ContainerError, SettingsError, AddressInUse.
    """
    require_compiled_parser()
    spare_modules()
    require_tracing(settings)
    source = read_source(path, settings.settings_file)
    container = load_container(path, source=source.content)
    admin = _bind_admin(settings, os.environ.pop("SGTM_ADMIN_TOKEN", ""))
    crew: Crew
    if settings.workers > 1:
        crew = Supervisor(source, container.version, settings, SharedAddress(settings).bind)
    else:
        crew = Solo(source, Worker(container, settings, bind(settings)))
    service = Service(
        crew, settings, source.path, ServiceManager(os.environ), admin, _banner(container, settings)
    )
    del container  # a reload frees it
    return uvloop.run(service.run())


def _banner(container: Container, settings: Settings) -> dict[str, Any]:
    return {
        "version": __version__,
        "container": container.name,
        "container_version": container.version,
        "clients": len(container.clients),
        "tags": len(container.tags),
        "outbox": describe(settings),
    }


def _bind_admin(settings: Settings, token: str) -> AdminSocket | None:
    """The admin listener's socket and token. It is there unless it is unwanted, so that metrics and
    health are a look away; but a server whose port nobody asked for starts without it as well."""
    if settings.no_admin:
        return None
    try:
        kept = admin_token(token, settings.data_folder)
        listening = _listen_admin(settings)
        note_admin_url(url_of(listening), settings.data_folder)
        return listening, kept
    except (SettingsError, AddressInUse) as error:
        if settings.admin_port is not None or token:
            raise
        log.warning("there is no admin listener", extra={"reason": str(error)})
        return None


def _listen_admin(settings: Settings) -> socket.socket:
    wanted = replace(settings, host=settings.admin_host, port=settings.admin_port or 0)
    if settings.admin_port is not None:
        return bind(wanted)
    try:
        return bind(replace(wanted, port=ADMIN_PORT))
    except AddressInUse:
        return bind(wanted)
