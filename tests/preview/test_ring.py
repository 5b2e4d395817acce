from containers import client as make_client
from containers import container as make_container
from msgspec.structs import replace

from sgtm.messages import DONE, NO_REQUEST, Answer, Claimed, Outcome, OutgoingRequest, VendorAnswer
from sgtm.observability.walk import Walk, WalkedDelivery, WalkedEvent, WalkedTag
from sgtm.preview import ring as ring_module
from sgtm.preview.ring import CHANGES_S, MOST_ANSWER_BYTES, QUIET_S, Ring

CONTAINER = make_container([make_client(lambda request: Claimed([], Answer(204)))])


def add(ring, now_s=0.0, *, body=b""):
    return ring.add(replace(NO_REQUEST, body=body), Walk(), CONTAINER, now_s)


def deliver(entry):
    """A tag of this request owes something."""
    delivery = WalkedDelivery(OutgoingRequest("POST", "https://v.example/"))
    entry.walk.events.append(WalkedEvent("e", {}, tags=[WalkedTag("T", "fired", deliveries=[delivery])]))
    return delivery


def numbers(entries):
    return [entry.number for entry in entries]


def test_the_oldest_make_room_for_the_latest():
    ring = Ring(3, 10**9)
    for _ in range(5):
        add(ring)
    assert numbers(ring.changes(0, 0.0)) == [3, 4, 5]
    assert (ring.first, ring.last) == (3, 5)
    assert ring.get(2) is None


def test_bytes_are_bounded_too_and_all_are_counted():
    ring = Ring(1_000, 100_000)
    for _ in range(50):
        add(ring, body=b"x" * 10_000)
    assert 1 <= len(ring) <= 5
    assert ring.size_bytes <= 100_000
    assert ring.size_bytes == sum(entry.size_bytes for entry in ring.changes(0, 0.0))


def test_what_templates_write_counts_among_the_bytes():
    ring = Ring(1_000, 100_000)
    for number in range(1, 21):
        tag = WalkedTag("T", "fired", console=["x" * 10_000])
        add(ring).walk.events.append(WalkedEvent("e", {}, tags=[tag]))
        ring.look(float(number))
        assert ring.size_bytes <= 100_000
    assert len(ring) <= 9


def test_what_a_vendor_answers_after_the_answer_is_a_change_and_counts():
    # SPEC: requirements R221: outgoing requests with responses
    ring = Ring(10, 10**9)
    add(ring)
    second = add(ring)
    delivery = deliver(second)
    seen = ring.changes(0, 1.0) and ring.version
    assert ring.changes(seen, 2.0) == []
    before = ring.size_bytes
    delivery.ended(1, DONE, VendorAnswer(200, (), b"y" * 1_000_000), "", 1)
    assert numbers(ring.changes(seen, 3.0)) == [2]
    assert before < ring.size_bytes < before + 2 * MOST_ANSWER_BYTES  # of a long answer the beginning is kept
    assert delivery.answer is not None
    assert len(delivery.answer.body) == MOST_ANSWER_BYTES


def test_nobody_looks_more_often_than_it_costs_little(monkeypatch):
    ring = Ring(10, 10**9)
    entry = add(ring)
    ring.look(10.0)
    looks = []
    monkeypatch.setattr(ring_module, "_state_of", lambda entry: looks.append(1) or entry.state)
    for moment in (10.01, 10.1, 10.19):
        ring.look(moment)
    assert not looks
    ring.look(10.3)
    assert looks
    assert ring.get(entry.number) is entry


def test_a_walk_that_is_over_is_not_looked_at_any_more():
    ring = Ring(10, 10**9)
    entry = add(ring)
    delivery = deliver(entry)
    entry.took_micros = 5
    delivery.ended(1, Outcome("retry", "busy"), None, "", 1)
    ring.look(QUIET_S + 1)
    delivery.ended(2, DONE, None, "", 2)
    ring.look(QUIET_S + 2)  # it was still owed: seen
    version = ring.version
    entry.walk.warnings.append("too late")
    ring.look(QUIET_S + 3)
    assert ring.version == version
    late = add(ring, 0.0)
    deliver(late)
    ring.look(CHANGES_S + 1)
    version = ring.version
    late.walk.warnings.append("too late")
    ring.look(CHANGES_S + 2)
    assert ring.version == version


def test_all_can_be_let_go_of_and_numbers_go_on():
    ring = Ring(10, 10**9)
    add(ring)
    ring.clear()
    assert (len(ring), ring.size_bytes, ring.first, ring.last) == (0, 0, 2, 1)
    assert add(ring).number == 2
