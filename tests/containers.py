"""Small containers made by hand, for tests of what surrounds them. Nothing is registered, so tests
that look at all components see only the real ones."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from sgtm.component import Component, read_status
from sgtm.container.container import Container, ContainerClient, ContainerTag, Hosts, Origins
from sgtm.delivery.lanes import DeliveryRules
from sgtm.event import Event
from sgtm.messages import Answer, Claimed, Declined, IncomingRequest, OutgoingRequest, Pending, TagResult

Claim = Callable[[IncomingRequest], Claimed | Declined | Pending]
Build = Callable[[Event], TagResult | list[OutgoingRequest] | Pending]


class Nothing(msgspec.Struct, frozen=True):
    """No parameters."""


def component(kind: Any, function: Any, **declared: Any) -> Component:
    return Component(
        kind=kind,
        type=f"test_{kind}",
        function=function,
        parameters_type=Nothing,
        module=__name__,
        read=read_status,
        **declared,
    )


def client(
    claim: Claim,
    name: str = "Test",
    *,
    paths: tuple[str, ...] = (),
    claim_timeout_s: float = 5.0,
    origins: Origins = Origins(),  # noqa: B008
    parameters: msgspec.Struct = Nothing(),  # noqa: B008
    hosts: Hosts | None = None,
    **declared: Any,
) -> ContainerClient:
    """Hits come in on those of `paths` that end in /collect."""
    declares = component("client", lambda request, parameters: claim(request), **declared)
    collect = tuple(path for path in paths if path.endswith("/collect"))
    return ContainerClient(
        name, declares, parameters, 0, paths, origins, (), 600, claim_timeout_s, hosts, collect
    )


def tag(build: Build, name: str = "Test", **declared: Any) -> ContainerTag:
    built = component("tag", lambda event, parameters: build(event), **declared)
    return ContainerTag(name, built, lambda view: Nothing(), (), DeliveryRules(), ("All Events",))


def container(clients: Iterable[ContainerClient], tags: Iterable[ContainerTag] = ()) -> Container:
    return Container("test", "v1", tuple(clients), tuple(tags), {}, tuple(tags), (), {}, 400, False)


def echo(request: IncomingRequest) -> Claimed:
    """Claims everything; the answer is the request as the container saw it."""
    seen = msgspec.to_builtins(request, builtin_types=(bytes,))
    seen["headers"] = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.headers]
    seen["query"], seen["body"] = request.query.decode("latin-1"), request.body.decode("latin-1")
    return Claimed([], Answer(200, (("Content-Type", "application/json"),), msgspec.json.encode(seen)))
