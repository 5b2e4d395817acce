"""Other tag managers, each its own unmodified release in its documented set-up; ours are only configuration
files (`peers/`).

walkerOS, npm  4.2.1: collector and API destination, which is what npm holds; an http server in front of it
               reads the hit and hands it an event
walkerOS       the Express source, GA4 transformer, API and Meta destinations as its documentation wires
               them: `--peer-source walkerOS=FOLDER`, whose node_modules hold these packages (a checkout,
               installed and built as it says, is such a folder)
WebCM          with the managed components google-analytics-4 and facebook-pixel:
               `--peer-source WebCM=FOLDER`, a built checkout with both built components in its `components`

walkerOS has no destination for GA4 on a server: its API destination posts the event as JSON instead. WebCM
takes no hits of gtag but its own: it is told the same purchase in the words of its browser script. Its
components name the vendors' hosts, `peers/redirect.mjs` sends what they fetch to the stand-in.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs

from benchmarks.contenders import PEERS, Contender, free_port, started, wait_for
from benchmarks.hits import HEADERS
from benchmarks.stand_in import StartedStandIn
from tests.npm_packages import node_modules

WALKEROS_PACKAGES = (
    "@walkeros/collector",
    "@walkeros/server-source-express",
    "@walkeros/transformer-ga4",
    "@walkeros/server-destination-api",
    "@walkeros/server-destination-meta",
)
WEBCM_FILES = (
    "lib/src/cli.js",
    "components/google-analytics-4/dist/index.js",
    "components/facebook-pixel/dist/index.js",
)
PRODUCTION = {"NODE_ENV": "production"}
_NODE = shutil.which("node") or "node"


@contextmanager
def started_walkeros(name: str, vendor: StartedStandIn, folder: Path | None = None) -> Iterator[Contender]:
    """walkerOS; without a folder what is on npm."""
    if folder is not None:
        _expect(folder, *(f"node_modules/{package}" for package in WALKEROS_PACKAGES))
    else:
        node_modules(PEERS)
    kind = "collector" if folder is None else "flow"
    command = (_NODE, str(PEERS / "walkeros.mjs"), str((folder or PEERS).resolve()), vendor.url, kind)
    with started(name, *command, vendor=vendor, environment=PRODUCTION) as contender:
        contender.status = b"200"
        yield contender


@contextmanager
def started_webcm(name: str, vendor: StartedStandIn, folder: Path) -> Iterator[Contender]:
    """WebCM with both components. It would fetch a component that is missing."""
    _expect(folder, *WEBCM_FILES)
    port = free_port()
    command = [_NODE, "--import", str(PEERS / "redirect.mjs"), str(folder.resolve() / WEBCM_FILES[0])]
    command += [
        "--config",
        str(PEERS / "webcm.config.cjs"),
        "--components",
        str(folder.resolve() / "components"),
    ]
    environment = {**PRODUCTION, "PORT": str(port), "VENDOR": vendor.url}
    url = f"http://127.0.0.1:{port}"
    with started(name, *command, vendor=vendor, url=url, environment=environment) as contender:
        wait_for(port)
        contender.status, contender.wire = b"200", webcm_wire
        yield contender


def _expect(folder: Path, *files: str) -> None:
    missing = [file for file in files if not (folder / file).exists()]
    if missing:
        raise SystemExit(f"{folder} has no {', '.join(missing)}: see benchmarks/tag_managers.py")


def webcm_wire(query: bytes) -> bytes:
    """The purchase of a hit, as WebCM's script in the browser tells it."""
    hit = {name: values[0] for name, values in parse_qs(query.decode()).items()}
    items = [
        {part[:2]: part[2:] for part in hit[name].split("~")} for name in ("pr1", "pr2", "pr3") if name in hit
    ]
    track = {
        "payload": {
            "name": "Order Completed",
            "data": {
                "order_id": hit["ep.transaction_id"],
                "total": float(hit["epn.value"]),
                "tax": float(hit["epn.tax"]),
                "currency": hit["cu"],
                "products": [_product(item) for item in items],
            },
        },
        "location": hit["dl"],
        "title": hit["dt"],
        "pageVars": {"__client": {}},
        "timestamp": int(hit["sid"]) * 1000,
        "offset": 0,
        "referer": hit["dr"],
        "eventType": "ecommerce",
    }
    body = json.dumps(track).encode()
    head = b"".join(b"%b: %b\r\n" % pair for pair in HEADERS)
    kind = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
    return b"POST /webcm/track HTTP/1.1\r\n%b%b\r\n%b" % (head, kind, body)


def _product(item: dict[str, str]) -> dict[str, object]:
    return {
        "product_id": item["id"],
        "name": item["nm"],
        "brand": item["br"],
        "category": item["ca"],
        "variant": item["va"],
        "price": float(item["pr"]),
        "quantity": int(item["qt"]),
    }
