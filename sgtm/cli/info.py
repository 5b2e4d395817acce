"""Say what a container does: who claims requests, what fires when, where it is sent."""

import argparse
import time
from urllib.parse import urlsplit

from msgspec.structs import replace

from sgtm import __version__
from sgtm.cli._container import add_arguments as add_container
from sgtm.cli._container import source_of
from sgtm.container.compile import load_container
from sgtm.container.container import Container, ContainerClient, ContainerTag, View
from sgtm.dry_run import PLAIN_REQUEST
from sgtm.event import make_event
from sgtm.messages import TagResult

_PAGE_VIEW = {
    "event_name": "page_view",
    "client_id": "1.1",
    "event_id": "1",
    "page_location": "https://shop.example/",
    "ip_override": "203.0.113.9",
    "user_agent": "sgtm info",
    "x-ga-measurement_id": "G-INFO",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_container(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    print("\n".join(describe(load_container(arguments.container, source=source_of(arguments)))))
    return 0


def describe(container: Container) -> list[str]:
    """Lines that say what a container does (SPEC: requirements R244)."""
    unset = "granted" if container.is_unset_consent_granted else "denied"
    return [
        f"sgtm {__version__}",
        f"container {container.name or '(no name)'}, version {container.version}",
        f"consent: an event that says nothing about it counts as {unset}",
        "",
        "clients, in claim order:",
        *(_client(client) for client in container.clients),
        f"  what no client claims is answered {container.unclaimed_status}",
        "",
        "tags, in firing order:",
        *(line for tag in container.tags for line in _tag(tag, container)),
    ]


def _client(client: ContainerClient) -> str:
    paths = ", ".join(client.paths) or "any path"
    return f"  {client.name} ({client.component.type}, priority {client.priority}): {paths}"


def _tag(tag: ContainerTag, container: Container) -> list[str]:
    follows = "none asked; the tag follows it by itself"
    none = follows if tag.component.is_consent_aware else "none asked"
    return [
        f"  {tag.name} ({tag.component.type})",
        f"    fires on: {', '.join(tag.firing_triggers) or 'no trigger, so never'}",
        f"    consent:  {', '.join(tag.required_consent) or none}",
        f"    sends to: {destination(tag, container)}",
    ]


def destination(tag: ContainerTag, container: Container) -> str:
    """Host that the tag would send a page view to. A tag only builds requests, so it can be asked."""
    request = replace(PLAIN_REQUEST, received_micros=time.time_ns() // 1000)
    view = View(make_event(_PAGE_VIEW, request, "", 0), container)
    try:
        result = tag.component.function(view.event, tag.parameters(view))
    except Exception:
        result = []
    requests = (
        result.requests if isinstance(result, TagResult) else result if isinstance(result, list) else []
    )
    hosts = sorted({urlsplit(request.url).netloc for request in requests})
    return ", ".join(hosts) or tag.component.vendor or "what the event decides"
