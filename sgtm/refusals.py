"""What a request's path, ids and origin condemn, before anything is parsed.

    path -> id allow-list -> origin     (then the server's rates, then the pipeline's claim)

SPEC: reliability 5.1. Only where the path alone tells which client would claim the request: elsewhere,
and in what a look at the head cannot tell, the claim decides, with the same answer.
"""

import logging

from sgtm.answers import NO_STORE, cors_headers
from sgtm.container.container import Container, ContainerClient
from sgtm.messages import Answer, IncomingRequest, Refused
from sgtm.observability.metrics import Counters

log = logging.getLogger("sgtm.refusals")

OTHER_ORIGIN = Refused(Answer(403), "origin")


def refusal(container: Container, request: IncomingRequest, counters: Counters) -> Answer | None:
    """The answer to a request that needs no parsing to be refused or dropped (counted), or None."""
    endpoint = container.endpoint(request.path, request.host)
    if endpoint is None or not endpoint.is_first or request.method == "OPTIONS":
        return None
    owner = endpoint.owner
    refused = _look(owner, request, counters)
    if refused is None and endpoint.is_sole and is_of_other_origin(owner, request):
        refused = OTHER_ORIGIN
    if refused is None:
        return None
    is_dropped = refused.answer.status < 400
    name = "sgtm_requests_dropped_total" if is_dropped else "sgtm_requests_refused_total"
    counters.add(name, refused.reason)
    return _finish(owner, request, refused.answer)


def dropped(container: Container, request: IncomingRequest) -> Answer:
    """204, with the CORS headers of a hit that is taken: the page's script notices no difference."""
    endpoint = container.endpoint(request.path, request.host)
    if endpoint is None:
        return Answer(204, (NO_STORE,))
    return _finish(endpoint.owner, request, Answer(204))


def is_of_other_origin(client: ContainerClient, request: IncomingRequest) -> bool:
    """Whether a page that may not use the client sent the request."""
    origin = request.header(b"origin")
    return origin is not None and not client.origins.allows(origin)


def _look(client: ContainerClient, request: IncomingRequest, counters: Counters) -> Refused | None:
    look = client.component.refuse
    try:
        return look(request, client.parameters) if look is not None else None
    except Exception as error:
        counters.add("sgtm_client_errors_total", client.name)
        log.error("client raised", extra={"client": client.name, "error": type(error).__name__})
        return None


def _finish(client: ContainerClient, request: IncomingRequest, answer: Answer) -> Answer:
    headers = (*answer.headers, NO_STORE, *cors_headers(client, request.header(b"origin")))
    return Answer(answer.status, headers, answer.body)
