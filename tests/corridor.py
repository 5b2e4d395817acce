"""The corridor out of small parts: clients and tags that are functions, a container around them."""

from cases import make_request
from containers import Nothing, client, container, tag
from doubles import HeldLanes, NotingOutbox
from msgspec.structs import replace

from sgtm.container.container import Origins
from sgtm.messages import DONE, Answer, Claimed, OutgoingRequest
from sgtm.observability.metrics import Counters
from sgtm.pipeline import Pipeline


def make_client(function, name="client", *, paths=("/c",), origins=Origins(), timeout_s=1.0):  # noqa: B008
    made = client(function, name, paths=paths, origins=origins, claim_timeout_s=timeout_s)
    return replace(made, allowed_headers=("x-own",))


def make_tag(function, name="tag", *, consent=(), parameters=lambda view: Nothing(), **declared):
    return replace(tag(function, name, **declared), required_consent=consent, parameters=parameters)


def make_container(clients, tags=(), **changes):
    return replace(container(clients, tags), **changes)


def make_pipeline(container, outbox=None, lanes=None):
    return Pipeline(container, outbox or NotingOutbox(), lanes or HeldLanes(DONE), Counters())


def claim(*names, answer=Answer(204), **more):  # noqa: B008
    events = [{"event_name": name, "x-ga-gcd": "13t3t3t3t5l1"} for name in names]
    return Claimed(events, answer, **more)


def send_one(event):
    return [OutgoingRequest("POST", f"https://vendor.example/{event.name}")]


REQUEST = make_request({"target": "/c?v=2"})
