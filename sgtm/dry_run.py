"""A dry run: one request or event through a container, and nothing leaves the machine.

The real pipeline runs; its outbox ends with it, its lanes accept every request and send none, its
lookups find nothing (an asynchronous variable has its default, or what `variables` says), and what
templates ask is answered with 200 and nothing, or what `answers` say. What
happened stands on the walk. `sgtm explain` and `sgtm test` are made of it.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from inspect import isawaitable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from sgtm.component import Component, read_status
from sgtm.container.container import Container, ContainerClient, ContainerVariable, Origins
from sgtm.delivery.credentials import Credentials
from sgtm.delivery.lanes import Delivery
from sgtm.delivery.outbox.memory import MemoryOutbox
from sgtm.event import undefined
from sgtm.hit import Again, HitBounds
from sgtm.messages import (
    DONE,
    NO_REQUEST,
    Answer,
    Claimed,
    EventData,
    IncomingRequest,
    Lookup,
    Outcome,
    OutgoingRequest,
    Record,
    VendorAnswer,
)
from sgtm.observability.metrics import Counters
from sgtm.observability.walk import Walk
from sgtm.pipeline import Pipeline
from sgtm.settings import Settings
from sgtm.templates.limits import template_limits

_SERVER = Settings()
"""What a hit may cause is told as a server without other settings would have it."""

PLAIN_REQUEST = replace(
    NO_REQUEST,
    remote_address="203.0.113.9",
    host="shop.example",
    received_micros=1_764_000_000_000_000,
    seed=1,
)
"""The request of an event that did not come by one, and what a test's request is unless it says."""


def dry_run(
    container: Container,
    request: IncomingRequest,
    variables: Mapping[str, Any] = {},
    walk: Walk | None = None,
    answers: Mapping[str, VendorAnswer] = {},
) -> Walk:
    """What happens to `request`. `variables` replaces variables by name; `walk` is what it is noted on.
    `answers` are given to templates that ask, by how the address begins: the longest one counts."""
    walk = walk or Walk()
    if container.surroundings is not None:
        container.surroundings.use(template_limits(_SERVER), {})
    pipeline = Pipeline(
        with_variables(container, variables),
        MemoryOutbox(),
        NoLanes(),
        Counters(),
        _no_script,
        _NoLookups(),
        HitBounds(_SERVER.hit_requests, _SERVER.hit_bytes),
        secret_of=Credentials(container.credentials).value,
        asks=_Answers(answers),
    )

    async def run() -> None:
        answer: Answer | Awaitable[Answer] = pipeline.run(request, walk)
        if isawaitable(answer):
            await answer
        await pipeline.finish()

    asyncio.run(run())
    return walk


def dry_run_event(
    container: Container,
    data: EventData,
    client_name: str,
    request: IncomingRequest = PLAIN_REQUEST,
    variables: Mapping[str, Any] = {},
    answers: Mapping[str, VendorAnswer] = {},
) -> Walk:
    """What happens to an event that a client of this name made, also where the container has no client
    (SPEC: sandbox-api 5.10.3, 4)."""
    replacement = replace(container, clients=(_client_that_makes(data, client_name),))
    return dry_run(replacement, request, variables, answers=answers)


def dry_run_again(container: Container, record: Record, again: Again, now_micros: int) -> Walk:
    """What happens to a record that is run again. A delivery that the vendor takes no more at this time has
    a `dead` outcome on the walk."""
    walk, outbox = Walk(), MemoryOutbox()
    pipeline = Pipeline(
        container, outbox, NoLanes(now_micros), Counters(), _no_script, _NoLookups(), asks=_Answers({})
    )
    asked = replace(again, debts=outbox, at_micros=now_micros)
    asyncio.run(pipeline.run_again(record, asked, walk=walk))
    return walk


def with_variables(container: Container, values: Mapping[str, Any]) -> Container:
    """The container with some variables having fixed values."""
    if not values:
        return container
    variables = tuple(
        ContainerVariable(one.name, _fixed(values[one.name])) if one.name in values else one
        for one in container.variables
    )
    return replace(container, variables=variables)


def _fixed(value: Any) -> Any:
    return lambda view: undefined if value is None else value


class _NoParameters(Struct, frozen=True):
    pass


def _client_that_makes(data: EventData, name: str) -> ContainerClient:
    def claim(request: IncomingRequest, parameters: _NoParameters) -> Claimed:
        return Claimed([data], Answer(204))

    component = Component(
        kind="client",
        type="event",
        function=claim,
        parameters_type=_NoParameters,
        module=__name__,
        read=read_status,
    )
    return ContainerClient(name, component, _NoParameters(), 0, (), Origins(), (), 0, 30.0)


class NoLanes:
    """Lanes that take every delivery and send none."""

    def __init__(self, now_micros: int = 0) -> None:
        self._now_micros = now_micros

    def deliver(self, delivery: Delivery) -> None:
        """See Lanes."""
        if delivery.walked is not None and delivery.expires_micros <= self._now_micros:
            delivery.walked.outcome = Outcome("dead", "too old for the vendor")
        if delivery.walked is not None and delivery.request.item and delivery.component.envelope is not None:
            # as it would go on the wire if it travelled alone
            delivery.walked.request = delivery.component.envelope([delivery.request])
        delivery.on_settled(DONE)


class _Answers:
    """Answers of nobody: those that are given, else 200 with nothing in it."""

    def __init__(self, given: Mapping[str, VendorAnswer]) -> None:
        self._given = given

    async def send(self, request: OutgoingRequest, timeout_s: float) -> VendorAnswer:
        """See Sends."""
        begins = [url for url in self._given if request.url.startswith(url)]
        return self._given[max(begins, key=len)] if begins else VendorAnswer(200, (), b"")


class _NoLookups:
    async def find(self, lookup: Lookup) -> Any:
        return lookup.default


async def _no_script(script: Any, request: IncomingRequest) -> Answer:
    return Answer(200, (("Content-Type", "application/javascript"),), b"/* not fetched in a dry run */")
