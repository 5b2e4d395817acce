"""HTTP Lookup: a value of the JSON that an HTTP endpoint answers with.

For stores of your own: a customer API, a price list, a key-value store with an HTTP front. Tags that use
the variable wait for the answer, triggers and the answer to the browser never do: for them, and where
nothing comes in time, it has its default. One call is made for all who ask the same, and its answer is
kept for a while, also that there is none (404). See `docs/lookups.md`.

The host is fixed in the container: event data can fill the path, the query, headers and the body, never
choose where the question goes.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct

from sgtm.authentication import AuthParameters, check_auth, credential_use
from sgtm.component import variable
from sgtm.errors import Problem
from sgtm.event import Event, read_key_path, undefined
from sgtm.messages import Lookup, OutgoingRequest, VendorAnswer
from sgtm.protocols.outgoing_http import check_headers, check_url, texts_of, written_headers, written_url
from sgtm.variables._defaults import Default

TimeoutS = Annotated[
    float, Meta(gt=0, le=10, description="Seconds after which the default takes the answer's place.")
]
KeepS = Annotated[
    float, Meta(ge=0, le=86_400, description="Seconds for which an answer is kept; 0: it is asked each time.")
]
KeepMissingS = Annotated[
    float, Meta(ge=0, le=86_400, description="Seconds for which it is remembered that nothing is there.")
]


class Parameters(AuthParameters, Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked where, and which value of the answer counts."""

    url: Annotated[
        str,
        Meta(
            description="Address of the endpoint. The host is written out; `{{Variables}}` may follow it.",
            examples=["https://api.example/customers/{{User ID}}"],
        ),
    ]
    method: Annotated[Literal["GET", "POST"], Meta(description="Method of the request.")] = "GET"
    query: Annotated[
        dict[str, Any],
        Meta(description="Query parameters that are added to the URL, encoded; undefined ones are left out."),
    ] = {}
    headers: Annotated[dict[str, Any], Meta(description="Headers; undefined ones are left out.")] = {}
    json: Annotated[Any, Meta(description="Body of a POST: any tree of values, sent as JSON.")] = UNSET
    key_path: Annotated[
        str,
        Meta(
            description="Path of the value in the JSON answer; empty: the whole of it.",
            examples=["customer.margin", "rows.0.price"],
        ),
    ] = ""
    timeout_s: TimeoutS = 2.0
    keep_s: KeepS = 300.0
    keep_missing_s: KeepMissingS = 60.0
    default: Default = UNSET


def check(parameters: dict[str, Any], where: str) -> list[Problem]:
    """The host, plain http, headers, a secret left out."""
    return [
        *check_url(parameters.get("url"), f"{where}.url"),
        *check_headers(parameters.get("headers"), f"{where}.headers"),
        *check_auth(parameters, where),
    ]


@variable(
    "http_lookup",
    hosts=("oauth2.googleapis.com",),  # of `auth: google_service_account`
    is_asynchronous=True,
    check=check,
)
def resolve(event: Event, parameters: Parameters) -> Any:
    """The value at `key_path` of the endpoint's JSON.

    SPEC: requirements R149, R152, R153, R155, R259, R284, R285."""
    try:
        url = written_url(parameters.url, parameters.query)
        wanted = texts_of(parameters.headers)
        body = b"" if parameters.json is undefined else msgspec.json.encode(parameters.json)
    except (TypeError, ValueError, RecursionError):
        url = None
    if url is None:
        return parameters.default
    if body:
        wanted = {"Content-Type": "application/json", **wanted}
    headers = written_headers({"Accept": "application/json", **wanted})[0]
    request = OutgoingRequest(parameters.method, url, headers, body, credential_use(parameters))
    return Lookup(
        f"{parameters.method} {url} {headers} {request.credential} {body!r}",
        request,
        JsonValue(parameters.key_path),
        parameters.default,
        parameters.timeout_s,
        parameters.keep_s,
        parameters.keep_missing_s,
    )


class JsonValue(Struct, frozen=True):
    """Reads the value at a key path of a JSON answer."""

    key_path: str

    def __call__(self, answer: VendorAnswer) -> Any:
        """Raises ValueError where it is no JSON; an empty answer has no values."""
        if not answer.body:
            return undefined
        value = msgspec.json.decode(answer.body)
        return read_key_path(value, self.key_path) if self.key_path else value
