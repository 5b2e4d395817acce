"""The containers of examples/webhooks: each is one that `serve` takes, its tests pass, and its samples,
signed by `sgtm send webhook`, count once on a running server (SPEC: requirements R78, R295)."""

import asyncio
import re
from pathlib import Path

import pytest
from doubles import eventually
from msgspec.structs import replace

from sgtm.cli import main
from sgtm.cli._inputs import read_recorded
from sgtm.clients.webhook import ACCEPTED
from sgtm.container.check import check_container
from sgtm.container.compile import load_container
from sgtm.demo.vendor import Vendor

RECIPES = Path(__file__).parents[2] / "examples" / "webhooks"
FOLDERS = sorted(path.parent.name for path in RECIPES.glob("*/container.yaml"))
SECRET = "whsec-a secret of the tests"


@pytest.fixture
def recipe(request, monkeypatch):
    """The container file of a recipe, with everything that it needs in the environment."""
    path = RECIPES / request.param / "container.yaml"
    for name in re.findall(r"\$\{(\w+)\}", path.read_text()):
        monkeypatch.setenv(name, "1234567890" if name == "META_PIXEL_ID" else f"{SECRET} {name}")
    monkeypatch.setenv("GA4_MEASUREMENT_ID", "G-ABC123")
    return path


@pytest.mark.parametrize("recipe", FOLDERS, indirect=True)
def test_a_recipe_is_good_and_its_tests_pass(recipe, capsys):
    assert check_container(recipe) == []
    assert main(["test", str(recipe)]) == 0, capsys.readouterr().out


def test_there_is_a_recipe_for_each_sender_that_is_promised():
    assert FOLDERS == ["crm", "github", "hubspot", "hubspot-v1", "shopify", "stripe", "woocommerce"]


@pytest.mark.parametrize("recipe", ["woocommerce"], indirect=True)
def test_two_orders_of_one_second_are_two(recipe):
    """WooCommerce's delivery id is a hash of the webhook's number and the second (WC_Webhook,
    get_new_delivery_id): the same for all orders that change in it."""
    client = load_container(recipe).clients[0]
    first = replace(read_recorded(recipe.parent / "samples" / "1-order.http", 1), verdict=ACCEPTED)
    second = replace(first, body=first.body.replace(b'"id": 727,', b'"id": 728,', 1))
    keys = [client.component.function(one, client.parameters).once_keys for one in (first, second, first)]
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.parametrize("recipe", FOLDERS, indirect=True)
async def test_samples_are_signed_and_sent_and_each_counts_once(
    recipe, serve, vendor: Vendor, monkeypatch, capsys
):
    monkeypatch.setenv("GA4_ENDPOINT", vendor.url)
    monkeypatch.setenv("META_ENDPOINT", vendor.url)
    container = load_container(recipe)
    served = await serve(container, outbox="memory")
    name = container.clients[0].name
    hits = set()
    for _ in range(2):
        for sample in sorted((recipe.parent / "samples").glob("*.http")):
            words = ["send", "webhook", name, str(sample), "--container", str(recipe), "--url", served.url]
            assert await asyncio.to_thread(main, words) == 0, capsys.readouterr().out
        await eventually(lambda: not len(served.worker.outbox))  # no record owes anything
        hits.add(len(vendor.requests("/g/collect")))
    assert len(hits) == 1
    assert hits.pop() >= 2
    assert SECRET not in capsys.readouterr().out
