"""Sign a sample of a webhook as its sender would, and post it to a running server.

FILE is the body, or a whole request: an .http file (a comment, the request line, headers, an empty line, the
body), of which the signature is made anew. What the client of this name needs, its secret too, comes from the
container and its environment, as for `sgtm serve`; the secret is never shown.

  sgtm send webhook Stripe samples/checkout.http --url http://localhost:8080
  sgtm send webhook CRM lead.json --header 'X-Topic: lead.created'

Exit status: 0 the server took it, 1 it did not, 2 a mistake in the arguments or the container.
"""

import argparse
import time
from pathlib import Path

from msgspec.structs import replace

from sgtm.cli._container import source_of
from sgtm.cli._inputs import read_header, read_recorded
from sgtm.cli._posting import ADDED_HEADERS, post, read_url
from sgtm.clients._webhook.signing import signed
from sgtm.clients.webhook import Parameters
from sgtm.container.compile import load_container
from sgtm.container.container import Container
from sgtm.delivery.credentials import Credentials
from sgtm.dry_run import PLAIN_REQUEST
from sgtm.errors import SettingsError
from sgtm.messages import IncomingRequest
from sgtm.observability.show import inert
from sgtm.settings import FILE

_WORDS = {
    200: "taken (or ignored: `sgtm explain --verified` says what becomes of it)",
    401: "refused: the server has another secret, or another clock",
    403: "refused: this address may not send",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("kind", choices=("webhook",), help="what is sent")
    parser.add_argument("name", metavar="NAME", help="name of the webhook client in the container")
    parser.add_argument("file", metavar="FILE", help="the body, or an .http file with the whole request")
    parser.add_argument(
        "--container", default="container.yaml", metavar="FILE", help="default: container.yaml"
    )
    parser.add_argument(
        "--settings", dest=FILE, metavar="FILE", help="settings file with what an export cannot say"
    )
    parser.add_argument(
        "--url",
        default="http://localhost:8080",
        help="the server, or the whole address of the webhook (default: %(default)s)",
    )
    parser.add_argument(
        "--header", action="append", default=[], metavar="NAME: VALUE", help="one more header"
    )


def run(arguments: argparse.Namespace) -> int:
    """Send it, and say what was answered."""
    container = load_container(arguments.container, source=source_of(arguments))
    parameters = _parameters(container, arguments.name)
    request = _request(arguments, parameters)
    try:
        value_of = Credentials(container.credentials).value
        request = signed(request, parameters.signature, parameters.shared_secret, value_of)
    except ValueError:
        mend = "is it the whole secret, as the sender shows it?"
        raise SettingsError("is not base64", where="the secret", mend=mend) from None
    status, body = post(arguments.url, request)
    print(f"{request.method} {request.path} with {len(request.body)} bytes, signed")
    print(f"{status} {_WORDS.get(status, 'taken' if status < 300 else 'refused')}")
    if body:
        print(inert(body.decode("utf-8", "replace")[:500]))
    return 0 if 200 <= status < 300 else 1


def _parameters(container: Container, name: str) -> Parameters:
    found = {client.name: client.parameters for client in container.clients}
    parameters = found.get(name)
    if isinstance(parameters, Parameters):
        return parameters
    names = ", ".join(name for name, one in found.items() if isinstance(one, Parameters)) or "none"
    raise SettingsError(f"{name!r} is no webhook client", where="NAME", mend=f"there are: {names}")


def _request(arguments: argparse.Namespace, parameters: Parameters) -> IncomingRequest:
    """What is sent, at this moment, as the server at `--url` will see it."""
    file, now = Path(arguments.file), time.time_ns() // 1_000
    if file.suffix == ".http":
        request = read_recorded(file, now)
    else:
        request = replace(
            PLAIN_REQUEST,
            method=parameters.methods[0],
            path=parameters.paths[0],
            body=_content(file),
            received_micros=now,
        )
    url = read_url(arguments.url)
    own = tuple((name.lower().encode(), value.encode()) for name, value in map(read_header, arguments.header))
    headers = tuple(pair for pair in request.headers if pair[0] not in (b"host", *ADDED_HEADERS))
    path = url.path if url.path not in ("", "/") else request.path
    return replace(request, headers=(*headers, *own), scheme=url.scheme, host=url.hostname or "", path=path)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise SettingsError(reason, where=str(file), mend="give the path of the body") from None
