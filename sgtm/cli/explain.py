"""Say what a container does with one hit, request or event, and why. Nothing is sent.

Who claimed it and why the others declined; what each preparation and transformation changed; each
tag, and why it fires or not: the first condition that failed with both values, exceptions, consent,
schedule, sample, sequence; the variables that were read; the requests that would go out.

  sgtm explain container.yaml --hit '/g/collect?v=2&tid=G-1&cid=1.2&en=purchase'
  sgtm explain container.yaml --request order.http --verified
  sgtm explain GTM-XXXX.json --event '{"name": "purchase", "data": {"value": 9}}' --client GA4
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from sgtm.cli._container import add_arguments as add_container
from sgtm.cli._container import secrets_of, source_of
from sgtm.cli._inputs import EventInput, RequestInput, as_verified, read_header, read_hit, read_recorded
from sgtm.container.compile import load_container
from sgtm.container.google.secrets import hidden
from sgtm.dry_run import dry_run, dry_run_event
from sgtm.errors import SettingsError
from sgtm.messages import IncomingRequest
from sgtm.observability.explanation import explain_walk
from sgtm.observability.walk import Walk

T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_container(parser)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--hit", help="a URL, or a path with its query; a method may stand before it")
    which.add_argument(
        "--request", metavar="FILE", help="a request as JSON: target, method, headers, body ..."
    )
    which.add_argument("--event", metavar="JSON", help="an event: name, data, client; or @FILE")
    parser.add_argument("--client", default="", help="with --event: name of the client that made it")
    parser.add_argument("--header", action="append", default=[], metavar="NAME: VALUE", help="with --hit")
    parser.add_argument("--body", default="", help="with --hit: the body of a POST")
    parser.add_argument(
        "--verified",
        action="store_true",
        help="with --hit and --request: a webhook counts as signed by its sender; without it, why it is "
        "refused stands here, and secrets do not",
    )
    parser.add_argument("--tag", default="", help="say everything about this tag only")
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="text for people (default)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the walk."""
    container = load_container(arguments.container, source=source_of(arguments))
    if (
        arguments.tag
        and arguments.tag not in container.tags_by_name
        and not any(tag.name == arguments.tag for tag in container.tags)
    ):
        names = ", ".join(tag.name for tag in container.tags)
        raise SettingsError(f"there is no tag {arguments.tag!r}", where="--tag", mend=f"there are: {names}")
    if arguments.event:
        event = _read(arguments.event, EventInput, "--event")
        data = {"event_name": event.name, **event.data}
        walk = dry_run_event(container, data, arguments.client or event.client)
    else:
        request = _request(arguments)
        walk = dry_run(container, as_verified(request) if arguments.verified else request)
    if arguments.tag:
        for walked in walk.events:
            walked.tags = [tag for tag in walked.tags if tag.name == arguments.tag]
    text = _as_json(walk) if arguments.format == "json" else explain_walk(walk)
    print(hidden(text, secrets_of(arguments)))
    return 0


def _request(arguments: argparse.Namespace) -> IncomingRequest:
    now = time.time_ns() // 1000
    if not arguments.request:
        return read_hit(arguments.hit, dict(map(read_header, arguments.header)), arguments.body).request(now)
    if arguments.request.endswith(".http"):
        return read_recorded(Path(arguments.request), now)
    return _read(f"@{arguments.request}", RequestInput, "--request").request(now)


def _as_json(walk: Walk) -> str:
    encoded = msgspec.json.encode(walk, enc_hook=lambda value: str(value))
    text = msgspec.json.format(encoded, indent=2).decode()
    # JSON may hold marks that turn a line around; a terminal must not see them
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def _read(text: str, type_: type[T], where: str) -> T:
    """A struct out of JSON, or of the file after `@`. Raises SettingsError."""
    try:
        content: Any = Path(text[1:]).read_bytes() if text.startswith("@") else text
        return msgspec.json.decode(content, type=type_)
    except OSError as error:
        raise SettingsError(
            error.strerror or "cannot be read", where=text[1:], mend="give its path"
        ) from None
    except msgspec.DecodeError as error:  # of which a ValidationError is one
        raise SettingsError(
            str(error).lower(), where=where, mend="see the example in `sgtm explain --help`"
        ) from None
