"""The corridor out of small parts: clients and tags that are functions, a container around them."""

import msgspec
from cases import make_request
from doubles import HeldLanes, NotingOutbox

from sgtm.component import Component, read_status
from sgtm.container.container import Container, ContainerClient, ContainerTag, Origins
from sgtm.delivery.lanes import DeliveryRules
from sgtm.messages import DONE, Answer, Claimed, OutgoingRequest
from sgtm.observability.metrics import Counters
from sgtm.pipeline import Pipeline


class Nothing(msgspec.Struct, frozen=True):
    pass


def component(kind, function, **declared):
    return Component(
        kind=kind,
        type="t",
        function=function,
        parameters_type=Nothing,
        module=__name__,
        read=read_status,
        **declared,
    )


def make_client(function, name="client", *, paths=("/c",), origins=Origins(), timeout_s=1.0):  # noqa: B008
    declared = component("client", lambda request, parameters: function(request))
    return ContainerClient(name, declared, Nothing(), 0, paths, origins, ("x-own",), 600, timeout_s)


def make_tag(function, name="tag", *, consent=(), parameters=lambda view: Nothing(), **declared):
    built = component("tag", lambda event, parameters: function(event), **declared)
    return ContainerTag(name, built, parameters, consent, DeliveryRules(), ("All Events",))


def make_container(clients, tags=(), **changes):
    container = Container("test", "v1", tuple(clients), tuple(tags), {}, tuple(tags), (), {}, 400, False)
    return msgspec.structs.replace(container, **changes)


def make_pipeline(container, outbox=None, lanes=None):
    return Pipeline(container, outbox or NotingOutbox(), lanes or HeldLanes(DONE), Counters())


def claim(*names, answer=Answer(204), **more):  # noqa: B008
    events = [{"event_name": name, "x-ga-gcd": "13t3t3t3t5l1"} for name in names]
    return Claimed(events, answer, **more)


def send_one(event):
    return [OutgoingRequest("POST", f"https://vendor.example/{event.name}")]


REQUEST = make_request({"target": "/c?v=2"})
