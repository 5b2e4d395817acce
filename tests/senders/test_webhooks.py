"""Webhooks signed by the libraries of Stripe, GitHub (Octokit) and Shopify, posted to the real server with
the containers of examples/webhooks: the status and the events of each case.

SPEC: requirements R77, R80, R81, R85, R89, R265, R295; vendor-tags 5.1, 5.2, 5.4.
"""

import asyncio
import base64
import gzip
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from doubles import eventually
from msgspec.structs import replace
from npm_packages import node_modules
from raw_http import exchange

from sgtm.cli._inputs import read_recorded
from sgtm.clients._webhook.signing import signed
from sgtm.container.compile import load_container
from sgtm.observability.walk import Walk

FOLDER = Path(__file__).parent
RECIPES = FOLDER.parents[1] / "examples" / "webhooks"
SECRET, OLD_SECRET = "whsec_of_the_tests", "whsec_before_that"
VARIABLES = {
    "STRIPE_WEBHOOK_SECRET": SECRET,
    "GITHUB_WEBHOOK_SECRET": SECRET,
    "SHOPIFY_WEBHOOK_SECRET": SECRET,
    "OLD_SECRET": OLD_SECRET,
    "GA4_MEASUREMENT_ID": "G-ABC123",
    "META_PIXEL_ID": "1234567890",
    "META_ACCESS_TOKEN": "token of the tests",
}


class Sender(NamedTuple):
    """One of those who sign, and what a webhook of theirs is."""

    sample: str
    id_header: str
    """Empty: the id stands in the body."""
    unknown: Callable[[dict[str, Any], dict[str, str]], object]
    """Makes a type of the sample's that no rule knows."""
    test: Callable[[dict[str, Any]], object] | None
    """Makes a test of it."""


SENDERS = {
    "stripe": Sender(
        "1-checkout",
        "",
        lambda body, _: body.update(type="product.created"),
        lambda body: body.update(livemode=False),
    ),
    "github": Sender(
        "1-sponsorship",
        "x-github-delivery",
        lambda _, headers: headers.update({"x-github-event": "ping"}),
        None,
    ),
    "shopify": Sender(
        "1-order",
        "x-shopify-webhook-id",
        lambda _, headers: headers.update({"x-shopify-topic": "shop/update"}),
        lambda body: body.update(test=True),
    ),
}


async def ask_libraries(asked: list[dict[str, Any]]) -> list[Any]:
    """What the libraries say, all at once: node starts once."""
    node = shutil.which("node")
    assert node is not None
    await asyncio.to_thread(node_modules, FOLDER)
    process = await asyncio.create_subprocess_exec(
        *(node, "signatures.js"),
        cwd=FOLDER,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    for one in asked:
        one["body"] = base64.b64encode(one["body"]).decode()
    out, errors = await asyncio.wait_for(process.communicate(json.dumps(asked).encode()), 60)
    assert process.returncode == 0, errors.decode()
    said: list[Any] = json.loads(out)
    return said


class Delivery:
    """One webhook: what is signed, what is sent, and how."""

    def __init__(self, name: str, number: int) -> None:
        sample = read_recorded(RECIPES / name / "samples" / f"{SENDERS[name].sample}.http", 0)
        self.name, self.target = name, sample.path
        self.headers = {key.decode(): value.decode() for key, value in sample.headers}
        self.headers = {key: value for key, value in self.headers.items() if not key.startswith("content-")}
        self.content: dict[str, Any] = json.loads(sample.body)
        if SENDERS[name].id_header:
            self.headers[SENDERS[name].id_header] = f"delivery-{number}"
        else:
            self.content["id"] = f"evt_{number}"
        self.content["created"] = int(time.time())
        self.secret, self.age_s = SECRET, 0
        self.sent: bytes | None = None  # None: what was signed
        self.is_chunked = self.is_signed_twice = False

    def asks(self) -> dict[str, Any]:
        body = json.dumps(self.content).encode()
        self.sent = self.sent or body
        timestamp = int(time.time()) - self.age_s
        return {"sender": self.name, "secret": self.secret, "body": body, "timestamp": timestamp}

    def wire(self, signature: dict[str, str]) -> bytes:
        """The request, byte for byte."""
        body = self.sent or b""
        headers = {**self.headers, **signature}
        if self.is_signed_twice:
            headers = {name: value.replace("v1=", f"v1={'0' * 64},v1=") for name, value in headers.items()}
        if self.is_chunked:
            headers["Transfer-Encoding"] = "chunked"
            pieces = [body[at : at + 1000] for at in range(0, len(body), 1000)]
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        else:
            headers["Content-Length"] = str(len(body))
        lines = [f"POST {self.target} HTTP/1.1", "Host: sst.shop.example"]
        lines += [f"{name}: {value}" for name, value in headers.items() if name.lower() != "host"]
        return "\r\n".join([*lines, "", ""]).encode() + body


def good(delivery: Delivery) -> None:
    delivery.headers["Content-Type"] = "application/json"


def wrong_secret(delivery: Delivery) -> None:
    delivery.secret = "whsec_of_nobody"


def tampered(delivery: Delivery) -> None:
    delivery.sent = json.dumps({**delivery.content, "more": 1}).encode()


def second_secret(delivery: Delivery) -> None:
    delivery.secret = OLD_SECRET


def unknown_type(delivery: Delivery) -> None:
    SENDERS[delivery.name].unknown(delivery.content, delivery.headers)


def chunked_without_content_type(delivery: Delivery) -> None:
    delivery.is_chunked = True


def test_mode(delivery: Delivery) -> None:
    make_test = SENDERS[delivery.name].test
    assert make_test is not None
    make_test(delivery.content)


def second_signature(delivery: Delivery) -> None:
    delivery.is_signed_twice = True


def old(delivery: Delivery) -> None:
    delivery.age_s = 301


test_mode.__test__ = False  # type: ignore[attr-defined]
CASES: list[tuple[Callable[[Delivery], None], int, int]] = [
    (good, 200, 1),
    (wrong_secret, 401, 0),
    (tampered, 401, 0),
    (second_secret, 200, 1),
    (unknown_type, 200, 0),
    (chunked_without_content_type, 200, 1),
]
ONLY = {
    "stripe": [(old, 401, 0), (second_signature, 200, 1), (test_mode, 200, 0)],
    "shopify": [(test_mode, 200, 0)],
    "github": [],
}


@pytest.mark.parametrize("name", SENDERS)
async def test_each_case_has_its_status_and_its_events(name, serve, vendor, monkeypatch, tmp_path):
    for key, value in {**VARIABLES, "GA4_ENDPOINT": vendor.url, "META_ENDPOINT": vendor.url}.items():
        monkeypatch.setenv(key, value)
    text = (RECIPES / name / "container.yaml").read_text()
    variable = f"{name.upper()}_WEBHOOK_SECRET"
    path = tmp_path / "container.yaml"
    path.write_text(text.replace(f'["${{{variable}}}"]', f'["${{{variable}}}", "${{OLD_SECRET}}"]'))
    walks: list[Walk] = []

    def new_walk(_: object) -> Walk:
        walks.append(Walk())
        return walks[-1]

    served = await serve(load_container(path), new_walk=new_walk)
    cases = [*CASES, *ONLY[name]]
    deliveries = []
    for number, (change, _, _) in enumerate(cases):
        deliveries.append(Delivery(name, number))
        change(deliveries[-1])
    signatures = await ask_libraries([delivery.asks() for delivery in deliveries])
    for (change, status, events), delivery, signature in zip(cases, deliveries, signatures, strict=True):
        answer = await exchange(served.port, delivery.wire(signature))
        assert (answer.status, change) == (status, change), walks[-1].warnings
        await eventually(lambda: not len(served.worker.outbox))
        assert len(walks[-1].events) == events, walks[-1].warnings
        assert all(not event.note for event in walks[-1].events), change
    # what has come before, signed anew: the same answer, and no second event
    before = len(vendor.requests())
    answer = await exchange(served.port, deliveries[0].wire(signatures[0]))
    await eventually(lambda: not len(served.worker.outbox))
    assert answer.status == 200
    assert [event.note for event in walks[-1].events] == ["dropped: its sender had delivered it before"]
    assert len(vendor.requests()) == before
    assert {SECRET, OLD_SECRET}.isdisjoint(json.dumps([walk.warnings for walk in walks]))
    assert len(vendor.requests("/g/collect")) == sum(events for _, _, events in cases)


@pytest.mark.parametrize("is_signed_packed", [True, False])
async def test_a_packed_body_under_a_wrong_content_type(is_signed_packed, serve, vendor, monkeypatch):
    """SPEC: ga4-protocol 11.2. What is signed is the body as it comes: packed, unless a header says so."""
    for key, value in {**VARIABLES, "GA4_ENDPOINT": vendor.url, "META_ENDPOINT": vendor.url}.items():
        monkeypatch.setenv(key, value)
    served = await serve(load_container(RECIPES / "stripe" / "container.yaml"))
    delivery = Delivery("stripe", 1)
    plain = json.dumps(delivery.content).encode()
    request = read_recorded(RECIPES / "stripe/samples/1-checkout.http", time.time_ns() // 1000)
    parameters = served.worker.container.clients[0].parameters
    request = replace(request, body=gzip.compress(plain) if is_signed_packed else plain)
    sent = signed(request, parameters.signature, None, lambda _: SECRET)
    delivery.sent = gzip.compress(plain)
    delivery.headers["Content-Type"] = "text/plain"
    if not is_signed_packed:
        delivery.headers["Content-Encoding"] = "gzip"
    signature = {"Stripe-Signature": str(sent.header(b"stripe-signature"))}
    assert (await exchange(served.port, delivery.wire(signature))).status == 200


async def test_libraries_accept_what_sgtm_signs(monkeypatch):
    """`sgtm send webhook` signs as the sender does."""
    for key, value in VARIABLES.items():
        monkeypatch.setenv(key, value)
    asked = []
    for name, sender in SENDERS.items():
        container = load_container(RECIPES / name / "container.yaml")
        parameters: Any = container.clients[0].parameters
        sample = RECIPES / name / "samples" / f"{sender.sample}.http"
        request = read_recorded(sample, time.time_ns() // 1000)
        sent = signed(request, parameters.signature, None, lambda _: SECRET)
        header = str(sent.header(parameters.signature.header.lower().encode()))
        one = {"sender": name, "body": request.body, "header": header}
        asked += [{**one, "secret": secret} for secret in (SECRET, "another")]
    del asked[1]  # the library of Stripe raises where another secret has signed
    assert await ask_libraries(asked) == [True, True, False, True, False]
