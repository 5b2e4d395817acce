"""The request as it came (SPEC: sandbox-api 1.1). An event that came by none has no parts to read."""

from typing import Any
from urllib.parse import unquote

from msgspec import UNSET

from sgtm._fast.sandbox_apis import GetCookieValues, GetRequestHeader
from sgtm._fast.sandbox_convert import to_text
from sgtm._fast.sandbox_values import Run
from sgtm.messages import NO_REQUEST, IncomingRequest
from sgtm.protocols.query import read_query_lists
from sgtm.templates.apis.declaration import api, declare
from sgtm.templates.apis.guard import demand
from sgtm.templates.arguments import Arguments, argument
from sgtm.templates.host import host_of


def _request(run: Run, api: str, *asked: str) -> IncomingRequest | None:
    """The request, if the template may read what is asked of it; None where there is none."""
    demand(run, api, "read_request", *asked, shown=" ".join(asked))
    request = host_of(run).request
    return None if request is NO_REQUEST else request


declare(
    GetRequestHeader("getRequestHeader", demand, NO_REQUEST),
    "A header's value; of one that is repeated, all with `, ` between them.",
    "read_request",
)


@api("getRequestBody", "read_request")
def get_request_body(run: Run, args: Arguments) -> Any:
    """The body as text; undefined where there is none."""
    request = _request(run, "getRequestBody", "body")
    if request is None or not request.body:
        return UNSET
    run.make_text(len(request.body))
    return request.body.decode("utf-8", "replace")


@api("getRequestMethod", "read_request")
def get_request_method(run: Run, args: Arguments) -> Any:
    """GET, POST and so on."""
    request = _request(run, "getRequestMethod", "method")
    return UNSET if request is None else request.method.upper()


@api("getRequestPath", "read_request")
def get_request_path(run: Run, args: Arguments) -> Any:
    """The path, without the query and without the server's own prefix."""
    request = _request(run, "getRequestPath", "path")
    if request is None:
        return UNSET
    run.make_text(len(request.path))
    return request.path


def _parameters(run: Run, request: IncomingRequest) -> dict[str, list[str]]:
    run.make_text(len(request.query))
    run.make_elements(2 * (request.query.count(b"&") + 1))
    return read_query_lists(request.query)


@api("getRequestQueryParameter", "read_request")
def get_request_query_parameter(run: Run, args: Arguments) -> Any:
    """A parameter of the query, decoded; the first of those with this name."""
    name = to_text(run, argument(args, 0))
    request = _request(run, "getRequestQueryParameter", "query", name)
    return UNSET if request is None else _parameters(run, request).get(name, [UNSET])[0]


@api("getRequestQueryParameters", "read_request")
def get_request_query_parameters(run: Run, args: Arguments) -> Any:
    """All parameters of the query, decoded; a name that is repeated has an array."""
    request = _request(run, "getRequestQueryParameters", "query")
    if request is None:
        return UNSET
    found = _parameters(run, request)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


@api("getRequestQueryString", "read_request")
def get_request_query_string(run: Run, args: Arguments) -> Any:
    """The query as it came, without `?`; empty where there is none."""
    request = _request(run, "getRequestQueryString", "query")
    if request is None:
        return UNSET
    run.make_text(len(request.query))
    return request.query.decode("utf-8", "replace")


@api("getRemoteAddress", "read_request")
def get_remote_address(run: Run, args: Arguments) -> Any:
    """The requester's IP address, as far as trusted proxies tell it."""
    request = _request(run, "getRemoteAddress", "remoteAddress")
    return UNSET if request is None else request.remote_address


def _decoded(value: str) -> str:
    """What is no escape stays as it is."""
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        return value


declare(
    GetCookieValues("getCookieValues", demand, _decoded),
    "All values of a cookie, decoded unless the second argument is true; an empty array if none.",
    "get_cookies",
)
