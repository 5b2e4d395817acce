"""Asks a running server through its admin listener, as the commands for operators do.

Where it listens and its token come from the same settings as the server's: `--admin-host`, `--admin-port`,
`--data-folder`, SGTM_ADMIN_TOKEN. No token ever stands on a command line.
"""

import argparse
import http.client
import os
from typing import Any
from urllib.parse import urlsplit

import msgspec

from sgtm import settings_sources
from sgtm.errors import SgtmError
from sgtm.server.data_folder import admin_token, noted_admin_url
from sgtm.server.run import ADMIN_PORT
from sgtm.settings import FILE, Settings

TIMEOUT_S = 60.0
_FIELDS = (FILE, "admin_host", "admin_port", "data_folder")


class NoAnswer(SgtmError):
    """The server cannot be asked."""


class Answer:
    """What the admin listener said."""

    def __init__(self, status: int, body: Any) -> None:
        self.status, self.body = status, body


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags that say where the server is asked."""
    settings_sources.add_arguments(parser, only=_FIELDS)


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings that the flags and the environment give. Raises SettingsError."""
    return settings_sources.load(vars(arguments), os.environ)


def _address(chosen: Settings) -> tuple[str, int]:
    """What was told, else what the server has written down in the data folder."""
    if chosen.admin_port is None:
        parts = urlsplit(noted_admin_url(chosen.data_folder))
        if parts.hostname and parts.port:
            return parts.hostname, parts.port
    return chosen.admin_host, chosen.admin_port or ADMIN_PORT


def ask(chosen: Settings, method: str, path: str, body: object = None) -> Answer:
    """One request. Raises NoAnswer where nobody answers, or not to us; SettingsError without a token."""
    token = admin_token(os.environ.get("SGTM_ADMIN_TOKEN", ""), chosen.data_folder)
    host, port = _address(chosen)
    where = f"admin listener {host}:{port}"
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request(
            method,
            path,
            body=None if body is None else msgspec.json.encode(body),
            headers={"Authorization": f"Bearer {token}"},
        )
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        mend = "is the server running? Give its --admin-port and --data-folder"
        raise NoAnswer(f"no answer: {reason}", where=where, mend=mend) from None
    finally:
        connection.close()
    if answer.status == 401:
        mend = "give the server's own --data-folder, or SGTM_ADMIN_TOKEN"
        raise NoAnswer("the token is not the server's", where=where, mend=mend)
    try:
        return Answer(answer.status, msgspec.json.decode(content) if content else None)
    except msgspec.DecodeError:
        raise NoAnswer("that is no sgtm", where=where, mend="give the server's --admin-port") from None
