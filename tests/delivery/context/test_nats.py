"""The same store on a broker, for many machines: nothing is decided twice, and what one keeps all find."""

import asyncio
import itertools

import pytest
from context_worlds import DENIED, NOW, PURCHASE, Shop, visit
from doubles import eventually

from sgtm.delivery.context import ContextUnavailable
from sgtm.delivery.context.keys import key_of
from sgtm.delivery.context.opening import open_context
from sgtm.delivery.context.pairs import Meeting
from sgtm.delivery.outbox.opening import open_outbox
from sgtm.observability.metrics import Counters

# SPEC: requirements R308 to R310; design.md Delivery (nats).
LANDING = "https://shop.example/?gclid=G-1"


@pytest.fixture
async def shops(broker):
    """Makes workers of machines of their own, with one broker."""
    outboxes, made = [], []

    def make(**changes):
        settings = broker.settings()
        outboxes.append(open_outbox(settings, 0, 1, Counters()))
        store = open_context(settings, outboxes[-1], Counters())
        made.append(Shop(store=store, **changes))
        return made[-1]

    yield make
    for shop in made:
        await shop.close()
    for outbox in outboxes:
        outbox.close()


async def test_what_one_machine_is_told_another_inherits_and_all_forget(shops):
    one, other = shops(), shops()
    await one.browser(page_location=LANDING, user_id="U1")
    await one.browser("purchase", transaction_id="T1", user_id="U1")
    await one.store._written()
    seen = await other.server(transaction_id="T1")
    assert (seen["gclid"], seen["ga_session_id"]) == ("G-1", "17")
    assert (await other.server(user_id="U1"))["client_id"] == "1.1"
    erased = await other.store.erase([key_of("order", "T1")], other.container.context)
    assert erased.rows == 3
    assert "client_id" not in await one.server(user_id="U1")


async def test_a_withdrawal_reaches_what_stands_beside(shops):
    one, other = shops(), shops()
    await one.browser("purchase", transaction_id="T1")
    await one.store._written()
    await other.hit("browser", visit(consent=DENIED), at=NOW + 1_000_000)
    await other.store._written()
    seen = await one.server(transaction_id="T1")
    assert "ga_session_id" not in seen
    assert seen["consent_state"]["ad_storage"] is False


async def test_a_withdrawal_under_a_new_client_id_reaches_what_stands_beside_the_user_id(shops):
    one, other = shops(), shops()
    await one.browser("purchase", transaction_id="T1", user_id="U1", page_location=LANDING)
    await one.store._written()
    denied = visit(consent=DENIED, client_id="9.9", user_id="U1")
    await other.hit("browser", denied, at=NOW + 1_000_000)
    await other.store._written()
    seen = await one.server(transaction_id="T1")
    assert not {"gclid", "ga_session_id"} & seen.keys()
    assert seen["consent_state"]["ad_storage"] is False


async def test_many_write_the_same_row_and_nothing_is_lost(shops):
    made = [shops() for _ in range(3)]
    for number, shop in itertools.product(range(5), made):
        name = f"T{number}{made.index(shop)}"
        await shop.hit("browser", visit("purchase", transaction_id=name), at=NOW + number)
    await asyncio.gather(*(shop.store._written() for shop in made))
    _, row = await made[0].store.find([key_of("client_id", "1.1")])
    assert len(row.beside) == 15, "each order stands beside the client"


async def test_of_halves_that_come_at_once_to_several_machines_one_is_sent(shops):
    made = [shops() for _ in range(3)]

    def meeting(number, record, side):
        return Meeting(number.to_bytes(16, "big"), record, side, record, NOW, NOW + 10**9, NOW + 10**12)

    async def race(number):
        """Two copies of each half, three machines; whoever is told to wait asks once more."""
        asked = [(b"B1", "browser"), (b"S1", "server"), (b"S2", "server"), (b"B2", "browser")]
        stores = itertools.cycle(shop.store for shop in made)
        for _ in range(2):
            met = await asyncio.gather(
                *(store.meet(meeting(number, *half)) for half, store in zip(asked, stores, strict=False))
            )
        return [one.verdict for one in met]

    for verdicts in await asyncio.gather(*map(race, range(20))):
        assert sorted(verdicts) == ["end", "end", "end", "merge"]


async def test_two_machines_make_one_purchase_of_two_halves(shops, monkeypatch):
    monkeypatch.setattr("sgtm.holding.FIRST_LOOK_S", 0.05)
    one, other = shops(holds=(PURCHASE,)), shops(holds=(PURCHASE,))
    await one.hit("browser", visit("purchase", transaction_id="T1"))
    await one.waiting(1)
    await other.hit("server", {"event_name": "purchase", "transaction_id": "T1", "value": 9})
    await eventually(lambda: other.sent)
    await one.waiting(0)
    assert not one.sent
    assert (other.sent[0]["ga_session_id"], other.sent[0]["value"]) == ("17", 9)


async def test_who_asks_waits_for_what_was_saved_before_and_not_for_what_comes_meanwhile(shops):
    shop, is_over = shops(), False
    write = shop.store._save_each

    async def slowly(saves):
        await asyncio.sleep(0.05)
        return await write(saves)

    shop.store._save_each = slowly

    async def browse():
        number = 0
        while not is_over:
            number += 1
            await shop.browser(client_id=f"{number}.1")
            await asyncio.sleep(0.005)

    browsing = asyncio.create_task(browse())
    async with asyncio.timeout(8):
        for number in range(5):
            await shop.browser("purchase", transaction_id=f"T{number}")
            assert (await shop.server(transaction_id=f"T{number}"))["ga_session_id"] == "17"
    is_over = True
    await browsing


async def test_without_a_broker_events_go_on_and_halves_wait(shops, broker):
    shop = shops(holds=(PURCHASE,))
    broker.kill()
    with pytest.raises(ContextUnavailable):
        await shop.store.find([key_of("order", "T1")])
    seen = await shop.server(name="refund", transaction_id="T1")
    assert seen["event_name"] == "refund"
    assert shop.counted("sgtm_context_events_total", "server/not asked") == 1
