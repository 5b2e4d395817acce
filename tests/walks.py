"""Walks of the shop's recorded hits through its example container: what the preview's tests look at."""

from pathlib import Path

from msgspec.structs import replace

from sgtm.container.compile import load_container
from sgtm.demo.hits import read_hit
from sgtm.dry_run import PLAIN_REQUEST, dry_run
from sgtm.preview.encoding import Seen, view_of

SHOP = Path(__file__).parent.parent / "examples/shop"
HITS = sorted(path.stem for path in (SHOP / "hits").glob("*.http"))


def shop_container():
    """The example container; its secrets need no value in a dry run."""
    environment = {"META_PIXEL_ID": "1", "META_ACCESS_TOKEN": "EAA-shop-token"}
    return load_container(SHOP / "container.yaml", environment)


def recorded_request(name, **changes):
    """A recorded hit as a server behind the recording's proxy would have seen it."""
    hit = read_hit(SHOP / "hits" / f"{name}.http")
    path, _, query = hit.target.partition("?")
    headers = tuple((key.lower().encode(), value.encode()) for key, value in hit.headers)
    given = {
        "method": hit.method,
        "path": path,
        "query": query.encode(),
        "headers": headers,
        "body": hit.body,
        "host": "sst.shop.example",
        "remote_address": "81.2.69.142",
    }
    return replace(PLAIN_REQUEST, **(given | changes))


def shop_view(container, name, source="session", **changes):
    """What the preview shows of a recorded hit."""
    request = recorded_request(name, **changes)
    seen = Seen(id=name, source=source, took_micros=420)
    return view_of(dry_run(container, request), request, seen, container)
