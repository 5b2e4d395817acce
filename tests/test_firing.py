"""Which tags fire on an event: schedules, sequences, lookups, transformations, records run again."""

import asyncio

import msgspec
import pytest
from cases import make_request
from corridor import Nothing, claim, make_client, make_container, make_tag, send_one
from doubles import HeldLanes, NotingOutbox, eventually

from sgtm.container.container import ContainerPreparation, ContainerTransformation, ContainerVariable
from sgtm.container.model import Sample
from sgtm.container.sample import sampled
from sgtm.event import undefined
from sgtm.hit import Again, HitBounds
from sgtm.messages import DONE, Answer, Claimed, Dropped, Lookup, Outcome, OutgoingRequest, Record, TagResult
from sgtm.observability.metrics import Counters
from sgtm.observability.walk import Walk, WalkedTransformation, WalkedTrigger
from sgtm.pipeline import Pipeline

HOUR = 3_600_000_000
REQUEST = make_request({"target": "/c?v=2"})
NOW = REQUEST.received_micros


class World:
    """A pipeline with one client that claims everything as events of these names."""

    def __init__(self, *tags, names=("e",), lanes=None, lookups=None, said=None, **container):
        self.lanes, self.outbox, self.counters = lanes or HeldLanes(), NotingOutbox(), Counters()
        tags = [with_partners(tag, tags) for tag in tags]
        self.container = make_container(
            [make_client(lambda r: said or claim(*names))],
            [tag for tag in tags if tag.firing_triggers],
            tags_by_name={tag.name: tag for tag in tags},
            **container,
        )
        self.pipeline = Pipeline(self.container, self.outbox, self.lanes, self.counters, None, lookups)

    async def run(self, walk=None):
        answer = self.pipeline.run(REQUEST, walk)
        return await answer if asyncio.iscoroutine(answer) else answer

    @property
    def sent(self):
        return [delivery.tag for delivery in self.lanes.deliveries]


def with_partners(tag, tags):
    partners = {name for one in tags for name in (one.setup_tag, one.cleanup_tag) if name}
    is_sequenced = tag.name in partners or bool(tag.setup_tag or tag.cleanup_tag)
    return msgspec.structs.replace(tag, is_sequenced=is_sequenced)


def tag(name, build=send_one, **changes):
    return msgspec.structs.replace(make_tag(build, name), **changes)


def partner(name, build=send_one, **changes):
    """A tag that no trigger fires."""
    return tag(name, build, firing_triggers=(), **changes)


def explode(event):
    raise KeyError("jane@shop.example")


# -- what fires --------------------------------------------------------------------------------


@pytest.mark.parametrize(("times", "sent"), [(0, 0), (1, 1), (3, 3)])
async def test_a_tag_fires_as_often_as_its_triggers_say(times, sent):
    # SPEC: sandbox-api 5.10.4, A9: an unlimited tag fires once for each trigger that matches
    world = World(tag("t", firings=lambda view: times, is_unlimited=True))
    await world.run()
    assert world.sent == ["t"] * sent


@pytest.mark.parametrize(
    ("schedule", "fires"),
    [
        ((NOW, NOW + HOUR), True),
        ((NOW - HOUR, NOW), False),  # the end is not included
        ((NOW + 1, NOW + HOUR), False),
        ((NOW - HOUR, NOW + 1), True),
    ],
)
async def test_a_tag_fires_within_its_schedule_only(schedule, fires):
    world, walk = World(tag("t", schedule=schedule)), Walk()
    await world.run(walk)
    assert world.sent == (["t"] if fires else [])
    assert walk.events[0].tags[0].reason == ("" if fires else "outside its schedule")
    assert world.counters.value("sgtm_tags_held_back_total", "t") == (not fires)


@pytest.mark.parametrize("fires", [True, False])
async def test_a_tag_fires_for_events_of_its_sample_only(fires):
    # SPEC: requirements R98
    said = Claimed(({"event_name": "e", "client_id": "7.1"},), Answer(204))
    share = 88.1 if fires else 88.0  # blake2b of "7.1" is at 88.02 % of 64 bits
    world, walk = World(tag("t", sample=sampled(Sample(share))), said=said), Walk()
    await world.run(walk)
    assert world.sent == (["t"] if fires else [])
    walked = walk.events[0].tags[0]
    assert (walked.outcome, walked.reason) == (
        ("fired", "") if fires else ("held back", "not in the sample of 88 %")
    )
    assert world.counters.value("sgtm_tags_held_back_total", "t") == (not fires)


@pytest.mark.parametrize("is_preview", [True, False])
async def test_a_live_only_tag_does_not_fire_in_a_version_that_is_previewed(is_preview):
    # SPEC: sandbox-api 5.10.2, K13
    world = World(tag("t", is_live_only=True), is_preview=is_preview)
    await world.run()
    assert world.sent == ([] if is_preview else ["t"])


async def test_who_looks_hears_of_tags_that_do_not_fire_and_why():
    def explain(view):
        return [WalkedTrigger("Sales", True), WalkedTrigger("Staff", True, is_blocking=True)]

    silent = tag("silent", firings=lambda view: 0)
    blocked = tag("blocked", firings=lambda view: 0, explain=explain)
    world, walk = World(silent, blocked, tag("other")), Walk()
    world.pipeline.container = msgspec.structs.replace(
        world.container, tags_of_other_events=world.container.tags[:2]
    )
    await world.run(walk)
    assert {one.name: one.outcome for one in walk.events[0].tags} == {
        "silent": "not triggered",
        "blocked": "blocked by trigger",
        "other": "not triggered",  # the event's name has ruled it out
    }
    assert world.sent == []
    assert [trigger.name for trigger in walk.events[0].tags[1].triggers] == ["Sales", "Staff"]


# -- preparations ------------------------------------------------------------------------------


def preparation(name, transform, applies=lambda view: True):
    def explain(view):
        return WalkedTransformation(name, True, view.event.data, {})

    return ContainerPreparation(name, applies, transform, explain)


async def test_preparations_change_what_triggers_and_tags_see_one_after_the_other():
    seen = []
    world = World(
        tag("t", firings=lambda view: seen.append(view.event.data["n"]) or 1),
        preparations=(
            preparation("one", lambda view: {**view.event.data, "n": 1}),
            preparation("never", explode, applies=lambda view: False),
            preparation("two", lambda view: {**view.event.data, "n": view.event.data["n"] + 1}),
        ),
    )
    await world.run()
    assert seen == [2]


@pytest.mark.parametrize("end", [lambda view: Dropped("staff"), explode])
async def test_a_dropped_event_reaches_no_trigger_and_is_counted_and_so_is_one_that_a_preparation_fails_on(
    end,
):
    # SPEC: requirements R163; what failed may have been there to redact
    world, walk = World(tag("t"), names=("a", "b"), preparations=(preparation("No staff", end),)), Walk()
    assert (await world.run(walk)).status == 204
    assert world.sent == []
    assert world.counters.value("sgtm_events_dropped_total", "No staff") == 2
    assert walk.events[0].note.startswith("dropped by 'No staff': ")
    assert "jane" not in str(walk.events)
    assert world.outbox.told[-1] == ("ran", 7, frozenset())


# -- transformations ---------------------------------------------------------------------------


def transformation(slot, transform, applies=lambda view: True):
    def explain(view):
        return WalkedTransformation(f"t{slot}", True, view.event.data, {})

    return ContainerTransformation(f"t{slot}", slot, applies, transform, explain)


def without(key):
    return lambda view: {name: value for name, value in view.event.data.items() if name != key}


async def test_a_tag_sees_what_its_transformations_leave_and_so_do_its_variables():
    # SPEC: sandbox-api 5.10.1, W1: an excluded parameter does not leak through a variable
    evaluated = []

    def email(view):
        evaluated.append(view.event.data)
        return view.event.data.get("email", undefined)

    def send(event):
        return [OutgoingRequest("POST", "https://vendor.example/", body=repr(sorted(event.data)).encode())]

    def read(view):
        values.append((view.value(0), view.value(0)))
        return Nothing()

    values = []
    hide = (transformation(0, without("email")),)
    said = claim("e")
    said.events[0].update({"email": "jane@shop.example"})
    world = World(
        tag("open", send, parameters=read),
        tag("closed", send, parameters=read, transformations=hide),
        tag("closed too", send, parameters=read, transformations=hide),
        said=said,
        variables=(ContainerVariable("Email", email),),
    )
    await world.run()
    assert values == [("jane@shop.example",) * 2, (undefined,) * 2, (undefined,) * 2]
    assert len(evaluated) == 2, "once for each view"
    assert [b"email" in delivery.request.body for delivery in world.lanes.deliveries] == [True, False, False]


async def test_a_transformation_sees_what_those_before_it_have_left_and_one_that_does_not_apply_is_nothing():
    order = []

    def note(number):
        return lambda view: (
            order.append((number, sorted(view.event.data))) or {**view.event.data, f"n{number}": 1}
        )

    changes = (
        transformation(0, note(0)),
        transformation(1, explode, applies=lambda view: "n0" not in view.event.data),
        transformation(2, note(2)),
    )
    world = World(tag("t", transformations=changes))
    await world.run()
    assert [number for number, _ in order] == [0, 2]
    assert "n0" in order[1][1]
    assert world.sent == ["t"]


async def test_a_tag_whose_transformation_raises_does_not_fire():
    world, walk = World(tag("t", transformations=(transformation(0, explode),)), tag("other")), Walk()
    await world.run(walk)
    assert world.sent == ["other"]
    assert (walk.events[0].tags[0].outcome, walk.events[0].tags[0].reason) == ("failed", "raised KeyError")


# -- lookups -----------------------------------------------------------------------------------


class HeldLookups:
    def __init__(self):
        self.asked, self.go = [], asyncio.Event()

    async def find(self, lookup):
        self.asked.append(lookup.key)
        await self.go.wait()
        return "found"


def looked_up(view):
    view.lookups = {0: Lookup("key", OutgoingRequest("GET", "https://store.example/"), bytes, "default")}
    return "default"


async def test_a_tag_waits_for_what_its_variables_look_up_and_nobody_else_does():
    # SPEC: requirements R152, R284
    values, lookups = [], HeldLookups()

    def waits(view):
        values.append((view.value(0), view.value(1)))
        return Nothing()

    def triggered(view):
        values.append(view.value(0))
        return 1

    world = World(
        tag("waits", parameters=waits, firings=triggered, awaits=((0,),)),
        tag("other"),
        lookups=lookups,
        variables=(
            ContainerVariable("Store", looked_up, form=lambda view, value: value.upper()),
            ContainerVariable("Around", lambda view: f"<{view.value(0)}>"),
        ),
    )
    assert (await world.run()).status == 204, "the answer does not wait"
    assert (world.sent, values) == (["other"], ["default"])
    await eventually(lambda: lookups.asked == ["key"])
    assert [told[0] for told in world.outbox.told] == ["append"], "the record is still owed"
    lookups.go.set()
    await world.pipeline.finish()
    assert values[1:] == [("FOUND", "<FOUND>")]
    assert world.sent == ["other", "waits"]
    assert world.outbox.told[-1] == ("ran", 7, frozenset({"other", "waits"}))


async def test_two_tags_with_one_view_both_wait_for_what_one_variable_looks_up():
    values, lookups = [], HeldLookups()

    def parameters(view):
        values.append(view.value(0))
        return Nothing()

    two = [tag(name, parameters=parameters, awaits=((0,),)) for name in ("one", "two")]
    world = World(*two, lookups=lookups, variables=(ContainerVariable("Store", looked_up),))
    await world.run()
    await eventually(lambda: lookups.asked == ["key", "key"])
    lookups.go.set()
    await world.pipeline.finish()
    assert values == ["found", "found"]


async def test_lookups_that_do_not_need_each_other_are_asked_at_once():
    lookups = HeldLookups()
    request = OutgoingRequest("GET", "https://store.example/")

    def asks(slot):
        def resolve(view):
            view.lookups = {**(view.lookups or {}), slot: Lookup(f"key {slot}", request, bytes, None)}

        return ContainerVariable(f"Store {slot}", resolve)

    values = []
    awaits = ((0, 1), (2,))
    one = tag(
        "t", parameters=lambda view: values.append([view.value(slot) for slot in range(3)]), awaits=awaits
    )
    world = World(one, lookups=lookups, variables=tuple(map(asks, range(3))))
    await world.run()
    await eventually(lambda: lookups.asked == ["key 0", "key 1"])
    lookups.go.set()
    await world.pipeline.finish()
    assert (lookups.asked, values) == (["key 0", "key 1", "key 2"], [["found"] * 3])


async def test_a_tag_waits_for_what_its_transformations_look_up():
    # SPEC: requirements R152; sandbox-api 5.10.3.9: nothing is sent with a default in its place
    lookups = HeldLookups()
    enrich = msgspec.structs.replace(
        transformation(0, lambda view: {**view.event.data, "profit": view.value(0)}), awaits=((0,),)
    )

    def send(event):
        return [OutgoingRequest("POST", "https://vendor.example/", body=str(event.data["profit"]).encode())]

    world = World(
        *(tag(name, send, transformations=(enrich,)) for name in ("one", "two")),
        tag("other"),
        lookups=lookups,
        variables=(ContainerVariable("Store", looked_up),),
    )
    await world.run()
    assert world.sent == ["other"]
    await eventually(lambda: lookups.asked == ["key", "key"])
    lookups.go.set()
    await world.pipeline.finish()
    assert [delivery.request.body for delivery in list(world.lanes.deliveries)[1:]] == [b"found", b"found"]


async def test_variables_that_raise_are_counted_once_for_each_view_that_reads_them():
    def read(view):
        view.value(0)
        return Nothing()

    def explodes(view):
        view.failed_variables += ("Broken",)
        return False

    hide = (transformation(0, without("email")),)
    world = World(
        *(tag(f"open {i}", parameters=read) for i in range(2)),
        *(tag(f"closed {i}", parameters=read, transformations=hide) for i in range(2)),
        variables=(ContainerVariable("Broken", explodes),),
    )
    await world.run()
    assert world.counters.value("sgtm_variable_errors_total", "Broken") == 2


async def test_a_tag_whose_needed_set_up_tag_does_not_run_is_held_back():
    world, walk = World(tag("main", missing_setup_tag="first"), tag("other")), Walk()
    await world.run(walk)
    assert world.sent == ["other"]
    assert walk.events[0].tags[0].outcome == "held back"
    assert "'first'" in walk.events[0].tags[0].reason
    assert world.counters.value("sgtm_tags_held_back_total", "main") == 1


# -- sequences ---------------------------------------------------------------------------------


async def test_a_set_up_tag_runs_first_and_the_tag_when_its_deliveries_are_done():
    # SPEC: google-runtime 4.5
    world = World(tag("main", setup_tag="first"), partner("first"))
    assert (await world.run()).status == 204
    await eventually(lambda: world.sent == ["first"])
    world.lanes.deliveries[0].on_settled(DONE)
    await world.pipeline.finish()
    assert world.sent == ["first", "main"]
    assert world.outbox.told[1:] == [("ran", 7, frozenset({"main"}))]


@pytest.mark.parametrize(
    ("outcome", "stops", "sent"),
    [
        (DONE, True, ["first", "main"]),
        (Outcome("dead"), True, ["first"]),
        (Outcome("dead"), False, ["first", "main"]),
    ],
)
async def test_a_set_up_tag_that_fails_stops_its_main_tag_if_told_to(outcome, stops, sent):
    walk = Walk()
    world = World(
        tag("main", setup_tag="first", stops_on_setup_failure=stops, cleanup_tag="last"),
        partner("first"),
        partner("last", lambda event: TagResult(sends_nothing_because="test")),
        lanes=HeldLanes(outcome),
    )
    await world.run(walk)
    await world.pipeline.finish()
    assert world.sent == sent
    outcomes = {one.name: one.outcome for one in walk.events[0].tags}
    if len(sent) == 1:  # SPEC: google-runtime 4.6: the chain ends, no clean-up
        assert outcomes == {"main": "held back", "first": "fired"}
    else:
        assert outcomes == {"main": "fired", "first": "fired", "last": "sent nothing"}


@pytest.mark.parametrize(
    ("build", "only_on_success", "runs"),
    [(send_one, True, True), (explode, False, True), (explode, True, False)],
)
async def test_a_clean_up_tag_runs_afterwards_or_only_after_success(build, only_on_success, runs):
    # SPEC: google-runtime 4.6
    world = World(
        tag("main", build, cleanup_tag="last", cleanup_only_on_success=only_on_success),
        partner("last"),
        lanes=HeldLanes(DONE),
    )
    await world.run()
    await world.pipeline.finish()
    assert ("last" in world.sent) == runs


@pytest.mark.parametrize("is_unlimited", [False, True])
async def test_a_set_up_tag_of_two_tags_runs_once_unless_it_is_unlimited(is_unlimited):
    # SPEC: sandbox-api 5.10.4, A9; google-runtime 4.3: who comes later is told the same outcome
    world = World(
        tag("one", setup_tag="first"),
        tag("two", setup_tag="first"),
        partner("first", is_unlimited=is_unlimited),
        lanes=HeldLanes(DONE),
    )
    await world.run()
    await world.pipeline.finish()
    assert world.sent.count("first") == (2 if is_unlimited else 1)
    assert {"one", "two"} <= {*world.sent}


async def test_a_set_up_tag_without_consent_has_failed():
    # SPEC: google-runtime 4.7
    world = World(
        tag("main", setup_tag="first", stops_on_setup_failure=True),
        partner("first", required_consent=("ad_storage",)),
        said=claim_denied(),
        lanes=HeldLanes(DONE),
    )
    await world.run()
    await world.pipeline.finish()
    assert world.sent == []
    assert world.counters.value("sgtm_tags_blocked_total", "first") == 1
    assert world.counters.value("sgtm_tags_held_back_total", "main") == 1


def claim_denied():
    said = claim("e")
    said.events[0]["x-ga-gcd"] = "13p3p3p3p5l1"
    return said


async def test_set_up_tags_may_have_their_own_and_a_circle_ends():
    world = World(
        tag("main", setup_tag="second"),
        partner("second", setup_tag="first"),
        partner("first", setup_tag="main"),
        lanes=HeldLanes(DONE),
    )
    await world.run()
    await world.pipeline.finish()
    assert world.sent == ["first", "second", "main"]


# -- records run again -------------------------------------------------------------------------


async def test_a_record_that_is_run_again_fires_what_is_not_settled_and_is_neither_appended_nor_answered():
    world = World(tag("done"), tag("owed"))
    await world.pipeline.run_again(Record(REQUEST, "v1"), Again(9, frozenset({"done"})))
    assert world.sent == ["owed"]
    assert world.outbox.told == [("ran", 9, frozenset({"owed"}))]
    world.lanes.deliveries[0].on_settled(DONE)
    assert world.outbox.told[-1] == ("settle", 9, "owed")


async def test_one_tag_of_a_record_can_be_run_again_whatever_is_settled():
    # SPEC: requirements R301, R302
    world = World(tag("a"), tag("b"), tag("c"))
    await world.pipeline.run_again(
        Record(REQUEST, "v1"), Again(9, frozenset({"a", "b", "c"}), only=frozenset({"b"}))
    )
    assert world.sent == ["b"]


async def test_a_record_run_again_builds_the_very_requests_of_the_first_run():
    def send(event):
        return [OutgoingRequest("POST", "https://vendor.example/", body=event.chance("id"))]

    world = World(tag("t", send))
    await world.run()
    await world.pipeline.run_again(Record(REQUEST, "v1"), Again(7))
    first, second = world.lanes.deliveries
    assert (first.request, first.expires_micros) == (second.request, second.expires_micros)


async def test_a_settled_set_up_tag_does_not_run_again_and_counts_as_a_success():
    world = World(
        tag("main", setup_tag="first", stops_on_setup_failure=True), partner("first"), lanes=HeldLanes(DONE)
    )
    await world.pipeline.run_again(Record(REQUEST, "v1"), Again(7, frozenset({"first"})))
    assert world.sent == ["main"]


@pytest.mark.parametrize("owed", ["main", "first", "last"])
async def test_one_tag_of_a_sequence_runs_again_without_its_partners(owed):
    world = World(
        tag("main", setup_tag="first", stops_on_setup_failure=True, cleanup_tag="last"),
        partner("first"),
        partner("last"),
        lanes=HeldLanes(DONE),
    )
    await world.pipeline.run_again(Record(REQUEST, "v1"), Again(7, only=frozenset({owed})))
    assert world.sent == [owed]
    assert world.outbox.told[-1] == ("settle", 7, owed)


async def test_a_tag_that_is_asked_for_and_owes_nothing_any_more_is_settled():
    # its first run has said that it owes something; the container changed since
    world = World(tag("t"))
    for container in (make_container([make_client(lambda r: claim("e"))]), make_container([])):
        await world.pipeline.run_again(Record(REQUEST, "v1"), Again(9, only=frozenset({"gone"})), container)
        assert world.outbox.told[-1] == ("settle", 9, "gone")


async def test_what_a_tag_owes_that_the_container_has_no_more_becomes_a_letter_and_never_nothing():
    world = World(tag("t", firings=lambda view: 0))
    await world.pipeline.run_again(Record(REQUEST, "v1"), Again(9, only=frozenset({"gone", "t"})))
    assert sorted(told for told in world.outbox.told if told[0] != "ran") == [
        ("bury", 9, "gone", "the container that runs has no such tag"),
        ("settle", 9, "gone"),
        ("settle", 9, "t"),
    ]


async def test_a_record_that_nobody_claims_any_more_is_a_letter_and_is_counted():
    world = World(tag("t"))
    empty = make_container([])
    await world.pipeline.run_again(Record(REQUEST, "v0"), Again(9), empty)
    # SPEC: R301: it is kept as a dead letter, before the record is let go
    assert world.outbox.told == [
        ("bury", 9, "", "no client claims it any more"),
        ("ran", 9, frozenset()),
    ]
    assert world.counters.value("sgtm_records_unclaimed_total") == 1


async def test_a_hit_that_was_seen_is_no_repeat_when_its_record_is_run_again():
    said = claim("e", repeat_keys=("k",))
    world = World(tag("t"), said=said)
    await world.run()
    await world.pipeline.run_again(Record(REQUEST, "v1"), Again(7))
    assert world.sent == ["t", "t"]
    assert (await world.run()) == Answer(204, (("Cache-Control", "no-store"),))
    assert world.sent == ["t", "t"]


# -- what one hit may cause (SPEC: reliability 3, rule 10) ----------------------------------------


def many(count, body=b""):
    request = OutgoingRequest("POST", "https://v.example/", body=body)
    return lambda event: [request] * count


def bounded(world, **bounds):
    world.pipeline = Pipeline(
        world.container, world.outbox, world.lanes, world.counters, bounds=HitBounds(**bounds)
    )
    return world


async def test_a_hit_causes_fifty_requests_and_no_more(caplog):
    world = World(tag("One", many(30)), tag("Two", many(30)), lanes=HeldLanes(DONE))
    await world.run()
    assert (world.sent.count("One"), world.sent.count("Two")) == (30, 20)
    assert world.counters.value("sgtm_deliveries_refused_total", "Two") == 10
    (line,) = [one for one in caplog.records if "too many" in one.message]  # said once a hit
    assert line.tag == "Two"
    await world.run()  # the next hit begins anew
    assert len(world.sent) == 100


async def test_its_events_count_together():
    world = World(tag("One", many(20)), names=("e", "e", "e"), lanes=HeldLanes(DONE))
    await world.run()
    assert len(world.sent) == 50


@pytest.mark.parametrize(
    ("count", "is_known", "sent"), [(100, True, 200), (25, True, 50), (3, True, 50), (100, False, 50)]
)
async def test_the_batch_of_a_known_sender_may_cause_as_much_as_its_events_in_hits(count, is_known, sent):
    said = msgspec.structs.replace(claim(*["e"] * count), is_sender_known=is_known)
    world = World(tag("One", many(20)), said=said, lanes=HeldLanes(DONE))
    await world.run()
    assert len(world.sent) == sent


async def test_a_hit_causes_a_megabyte_and_no_more():
    body = bytes(300 * 1024)
    world = World(tag("One", many(5, body)), lanes=HeldLanes(DONE))
    await world.run()
    assert len(world.sent) == 3
    world = bounded(World(tag("One", many(5, body)), lanes=HeldLanes(DONE)), bytes=0)
    await world.run()
    assert len(world.sent) == 5


async def test_the_bounds_are_settable_and_can_be_off():
    for most, sent in ((1, 1), (59, 59), (0, 60)):
        world = bounded(World(tag("One", many(60)), lanes=HeldLanes(DONE)), requests=most)
        await world.run()
        assert len(world.sent) == sent


async def test_whoever_waits_for_the_tags_hears_of_it_and_a_walk_shows_it():
    said = msgspec.structs.replace(claim("e"), waits_for_tags=True, failure_answer=Answer(503))
    world = bounded(World(tag("One", many(3)), said=said, lanes=HeldLanes(DONE)), requests=2)
    walk = Walk()
    assert (await world.run(walk)).status == 503
    (walked,) = walk.events[0].tags
    assert len(walked.deliveries) == 2
    assert "not sent" in walked.warnings[0]
