"""Text of the files that `sgtm new` writes: a small component that works, and its golden cases.

`NAME` stands for the type and `Title` for it in words. Each passes ruff, mypy, the golden runner and
the contract suite as it is.
"""

TAG = '''\
"""Title: say in one sentence what this tag sends, and to whom.

Say here which rules of the vendor it follows, with the address of the page.
"""

import json
from typing import Annotated

from msgspec import Meta, Struct

from sgtm.component import Secret, tag
from sgtm.event import Event
from sgtm.messages import CredentialUse, OutgoingRequest, TagResult


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """What the tag needs to know."""

    account_id: Annotated[str, Meta(min_length=1, description="Id of the account at the vendor.")]
    access_token: Annotated[Secret, Meta(description="Token of the account, as `${ENV}` or a file.")]
    endpoint: Annotated[str, Meta(description="Where requests go.")] = "https://api.example/events"


@tag(
    "NAME",
    vendor="NAME",
    status="alpha",
    consent=("ad_storage", "ad_user_data"),
)
def build(event: Event, parameters: Parameters) -> TagResult:
    """One request for each event that has a page."""
    page = event.text("page_location")
    if page is None:
        return TagResult(sends_nothing_because="the event has no page_location")
    # NOTE: json.dumps escapes what UTF-8 cannot hold, so no event makes this raise.
    body = json.dumps({"account": parameters.account_id, "event": event.name, "page": page})
    token = CredentialUse(parameters.access_token.name, "header", "Authorization", "Bearer ")
    headers = (("Content-Type", "application/json"),)
    return TagResult((OutgoingRequest("POST", parameters.endpoint, headers, body.encode(), token),))
'''

TAG_CASES = """\
- name: an event is sent with its page
  parameters: {account_id: "123", access_token: NAME_token}
  event: {name: purchase, data: {page_location: https://shop.example/thanks}}
  expect:
    requests:
    - method: POST
      url: https://api.example/events
      headers: {Content-Type: application/json}
      credential: {name: NAME_token, place: header, key: Authorization, prefix: 'Bearer '}
      body: {account: '123', event: purchase, page: https://shop.example/thanks}
- name: an event without a page is not sent
  parameters: {account_id: "123", access_token: NAME_token, endpoint: http://127.0.0.1:9000/}
  event: {name: purchase, data: {}}
  expect:
    sends_nothing_because: the event has no page_location
"""

CLIENT = '''\
"""Title: say in one sentence whose requests this client claims.

Say here how they look, with the address of the sender's documentation.
"""

from typing import Annotated

from msgspec import Meta, Struct

from sgtm.component import client
from sgtm.messages import Answer, Claimed, Declined, EventData, IncomingRequest
from sgtm.protocols.query import read_query


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests are claimed, and how they are answered."""

    path: Annotated[str, Meta(pattern="^/", description="Exact path that the client claims.")]
    status: Annotated[int, Meta(ge=200, le=299, description="Status of the answer.")] = 204


@client(
    "NAME",
    status="alpha",
    paths=lambda parameters: (parameters.path,),
)
def claim(request: IncomingRequest, parameters: Parameters) -> Claimed | Declined:
    """One event from the query string."""
    if request.path != parameters.path:
        return Declined("the path is not this client's")
    query = read_query(request.query)
    if not query.get("event_name"):
        return Declined("the query has no event_name")
    data: EventData = {**query, "ip_override": request.remote_address}
    return Claimed([data], Answer(parameters.status))
'''

CLIENT_CASES = """\
- name: the query is the event
  parameters: {path: /NAME}
  request: {target: '/NAME?event_name=sign_up&method=mail'}
  expect:
    events:
    - {event_name: sign_up, method: mail, ip_override: 203.0.113.9}
    answer: {status: 204}
- name: another status can be answered
  parameters: {path: /NAME, status: 200}
  request: {target: '/NAME?event_name=sign_up'}
  expect:
    events:
    - {event_name: sign_up, ip_override: 203.0.113.9}
    answer: {status: 200}
- name: a query without event_name is somebody else's
  parameters: {path: /NAME}
  request: {target: /NAME}
  declines: the query has no event_name
"""

VARIABLE = '''\
"""Title: say in one sentence what value this variable has.

Say here where it comes from, and when there is none.
"""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct

from sgtm.component import variable
from sgtm.event import Event


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """What the value is made of."""

    key_path: Annotated[str, Meta(min_length=1, description="Where the text stands in the event data.")]
    default: Annotated[Any, Meta(description="Value where the event has no such text.")] = UNSET


@variable("NAME", status="alpha")
def resolve(event: Event, parameters: Parameters) -> Any:
    """A text of the event in lower case."""
    text = event.text(parameters.key_path)
    return parameters.default if text is None else text.lower()
'''

VARIABLE_CASES = """\
- name: a text is in lower case
  parameters: {key_path: currency}
  event: {name: purchase, data: {currency: EUR}}
  expect: eur
- name: without the text there is the default
  parameters: {key_path: currency, default: usd}
  event: {name: purchase, data: {}}
  expect: usd
- name: without text and default there is nothing
  parameters: {key_path: currency}
  event: {name: purchase, data: {}}
  expect_undefined: true
"""

SCAFFOLDS = {
    "tag": (TAG, TAG_CASES),
    "client": (CLIENT, CLIENT_CASES),
    "variable": (VARIABLE, VARIABLE_CASES),
}
"""Kind -> (text of the component, text of its golden cases)."""
