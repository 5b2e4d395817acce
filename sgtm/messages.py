"""The whole vocabulary of effects: plain structs that the stages hand to each other.

Clients and tags do no I/O. They return these values; the pipeline, the server and the delivery
carry them out. So every component can be tested, replayed and previewed without a network.

    IncomingRequest --client--> Claimed | Declined | Pending | Verify
    Event           --variable-> a value | Lookup
    Event           --transformation--> event data | Dropped
    Event           --tag-----> TagResult | list[OutgoingRequest] | Pending
    Conversation    --asks----> VendorAnswer | Failed, until it has a result: one of the above
    OutgoingRequest --sender--> VendorAnswer --tag's read--> Outcome
"""

import hashlib
import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Literal
from urllib.parse import unquote_plus, urlsplit

from msgspec import UNSET, Struct
from msgspec.structs import replace

from sgtm._fast.headers import header_text

EventData = dict[str, Any]
"""What a client made of one hit: a dict under Google's exact key names."""


class IncomingRequest(Struct, frozen=True, weakref=True):
    """One HTTP request as it came, plus the moment and the chance that it was given.

    Everything that happens to a hit is a pure function of this struct and the container: there is
    no other clock and no other source of randomness behind the server.
    """

    method: str
    path: str
    """Path as on the wire (no decoding), always beginning with `/`."""
    query: bytes
    """Raw query string without `?`; empty when there is none."""
    headers: tuple[tuple[bytes, bytes], ...]
    """Raw pairs in wire order; names in lower case."""
    body: bytes
    remote_address: str
    """Canonical IP of the requester, trusted proxies already taken away."""
    is_peer_trusted: bool
    """The connection came from a configured proxy, so what it forwarded may be believed."""
    scheme: str
    host: str
    """Host that the browser addressed, lower case, without port."""
    received_micros: int
    """Unix time of receipt in microseconds."""
    seed: int
    """64 random bits drawn at receipt; see `chance`."""
    verdict: str | None = None
    """What an earlier claim found out about a credential in this request (set on records, where
    the credential itself is gone); None while nothing was checked."""
    path_prefix: str = ""
    """What stood before `path` in the browser's address (`--path-prefix`): paths that are written for
    the browser begin with it."""

    def header(self, name: bytes) -> str | None:
        """First value of header `name` (lower case), or None. Invalid UTF-8 becomes U+FFFD."""
        return header_text(self.headers, name)

    def chance(self, purpose: str, size: int = 16) -> bytes:
        """`size` (<= 64) random bytes that are always the same for this request and purpose."""
        return hashlib.blake2b(purpose.encode(), digest_size=size, key=self.seed.to_bytes(8, "big")).digest()


NO_REQUEST = IncomingRequest(
    method="GET",
    path="/",
    query=b"",
    headers=(),
    body=b"",
    remote_address="",
    is_peer_trusted=False,
    scheme="https",
    host="",
    received_micros=0,
    seed=0,
)
"""The request of an event that came by none."""


class Record(Struct, frozen=True):
    """What the outbox keeps of a hit: the request as it came and the container it met.

    Tags and requests follow from it again, so nothing else has to be kept.
    """

    request: IncomingRequest
    container_version: str


class Cookie(Struct, frozen=True):
    """A cookie to set. `domain` "auto" means the registrable domain of the request's host."""

    name: str
    value: str
    max_age_s: int | None
    """None: it lives as long as the browser's session."""
    domain: str = "auto"
    path: str = "/"
    is_secure: bool = True
    is_http_only: bool = False
    same_site: Literal["Lax", "Strict", "None", ""] = "Lax"


# -- what a client returns ---------------------------------------------------------------------


class Answer(Struct, frozen=True):
    """A finished HTTP answer. The pipeline adds cookies, CORS and cache headers."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    cookies: tuple[Cookie, ...] = ()


def redirect(location: str, status: int = 302) -> Answer:
    """An answer that sends the browser to `location` (which the client has checked)."""
    return Answer(status, (("Location", location),))


class Dependency(Struct, frozen=True):
    """Why an id that nobody has listed may be served: a script that is served names it."""

    id: str
    parents: tuple["ServeScript", ...]
    """The scripts that have been listed, to look into when no script on hand names the id."""


class ServeScript(Struct, frozen=True):
    """The server shall serve this script: fetch it, cache it, revalidate it.

    The upstream's host is not in here: the server has one, whatever a request says (R202).
    """

    path: str
    """Path at the upstream, for example `/gtm.js`."""
    query: str
    """Query for the upstream, escaped, sorted by name; with `path` it is the name of the copy."""
    kind: Literal["script", "page"] = "script"
    max_age_s: int = 900
    stale_while_revalidate_s: int = 0
    """How long after `max_age_s` the copy is still good while a new one is being fetched."""
    is_preview: bool = False
    """For one person who tests a version: never from the cache, never kept."""
    compress: bool = True
    dependency_host: str = ""
    """Host (and port, and path) from which the script shall load Google's further scripts; empty: it is
    served as it came."""
    dependency: Dependency | None = None
    """Set where the script is served only if another one names it."""


class Declined(Struct, frozen=True):
    """The client does not claim the request, and says why in words."""

    reason: str


class Refused(Struct, frozen=True):
    """A look at the head was enough: the request is the client's and makes no event.

    Below status 400 it is answered as if it were taken, so that whoever floods a collector learns nothing.
    """

    answer: Answer
    reason: str
    """Label of the counter: one of few texts, nothing of the request."""


class Proof(Struct, frozen=True):
    """What a request shows of a secret that its sender should know."""

    secrets: tuple[str, ...]
    """Names of secrets, any of which may be the one: two while it is being changed."""
    method: Literal["hmac_sha256", "hmac_sha1", "hmac_sha512", "sha256", "secret"]
    """How the secret is shown: as the key of an HMAC over `text`, as the beginning of what is hashed
    with `text` behind it, or itself."""
    shown: tuple[bytes, ...]
    """What the request shows, decoded; any of them may be right."""
    text: bytes = b""
    """What was signed, byte for byte."""
    is_base64: bool = False
    """The secret is base64, perhaps behind `whsec_`, of the key (Standard Webhooks)."""


class Verify(Struct, frozen=True):
    """A client has to know whether the sender knows a secret before it says more. Whoever has the secrets
    finds out, so that a client never sees one. Not asked for a record that runs again: it has a verdict."""

    proofs: tuple[Proof, ...]
    """All must hold."""
    then: Callable[[bool | None], "Claimed | Declined"]
    """What the client says once it is told; None: nobody can tell, since no secret has a value."""


CREDENTIALS = ("api_secret", "authorization", "proxy-authorization", "x-api-key")
"""Query parameters and headers (lower case) that hold credentials, whoever reads them."""


class Claimed(Struct, frozen=True):
    """The client owns the request: these events run through the container, this is the answer.

    `waits_for_tags` is the response policy `after_tags`: the answer leaves when every tag of every
    event has succeeded; `failure_answer` takes its place when one has failed.
    """

    events: list[EventData]
    answer: Answer | ServeScript
    waits_for_tags: bool = False
    failure_answer: Answer | None = None
    verdict: str | None = None
    """Result of checking a credential of the request; kept with the record instead of it."""
    conceal: tuple[str, ...] = ()
    """Query parameters and headers (lower case) that hold credentials: the record drops them."""
    is_sender_known: bool = False
    """The request showed a credential that is listed, so what it may cause grows with its events."""
    recorded_body: bytes | None = None
    """What the record keeps of a body that holds a credential; None: the body as it came."""
    warnings: tuple[str, ...] = ()
    answer_with_pixels: Callable[[tuple[str, ...]], Answer] | None = None
    """Set when the browser can be asked to fetch pixels: makes the answer that asks for them."""
    repeat_keys: tuple[str, ...] = ()
    """One text per event (same order) that is equal only for the same hit sent twice; an event whose key
    was seen before is dropped. Empty: repeats are not looked for (R115)."""
    resent_hits: Literal["fire", "ga4_only"] = "fire"
    """What tags do with hits that the browser sent again after consent (ga4-protocol 11.1.4)."""
    once_keys: tuple[str, ...] = ()
    """One text per event (same order), the same whenever the sender delivers that event again. Such an
    event runs once within `once_s`, whichever worker it reaches, also after a restart; the others are
    answered like it. Empty: not looked for (R80, R89)."""
    once_s: float = 0.0
    refusal: str = ""
    """Label of the counter where the client refuses the request: one of few texts, nothing of it."""
    goes_on: "Continuation | None" = None
    """The client's own code goes on when its events run; it may say `answer` then."""
    notes: tuple[str, ...] = ()
    """What preview should say about each event (same order), for example that it was sent again."""


# -- what a variable and a transformation return -----------------------------------------------


class Lookup(Struct, frozen=True):
    """A variable's value stands elsewhere: this request asks for it.

    Whoever carries it out asks once per `key` for all who wait, keeps the answer for `keep_s` (what
    is not there: `keep_missing_s`), and gives `default` when it fails or takes longer than
    `timeout_s` (SPEC: requirements R152, R153, R259, R284, R285).
    """

    key: str
    """The same for the same question, never shown: it may hold personal data."""
    request: "OutgoingRequest"
    read: Callable[["VendorAnswer"], Any]
    """The value in a 2xx answer (its status and body: headers are not kept); undefined where it is not
    in there, what it raises counts as a failure."""
    default: Any = UNSET
    timeout_s: float = 2.0
    keep_s: float = 300.0
    keep_missing_s: float = 60.0


class Dropped(Struct, frozen=True):
    """A preparation ends an event here: no trigger sees it. It is counted (R163)."""

    reason: str


# -- what a tag returns ------------------------------------------------------------------------


class OAuth2Refresh(Struct, frozen=True, tag="oauth2_refresh", omit_defaults=True):
    """An access token got with a refresh token (SPEC: RFC 6749, 6). Names of secrets, no values."""

    token_url: str
    client_id: str
    client_secret: str
    """Name of the secret."""
    refresh_token: str
    """Name of the secret."""
    scope: str = ""
    client_auth: Literal["body", "basic"] = "body"
    """How the client proves itself: in the form, or as HTTP Basic (SPEC: RFC 6749, 2.3.1)."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names of the secrets that the token is made from."""
        return (self.client_secret, self.refresh_token)


class ClientCredentials(Struct, frozen=True, tag="client_credentials", omit_defaults=True):
    """An access token got with the client's own secret (SPEC: RFC 6749, 4.4)."""

    token_url: str
    client_id: str
    client_secret: str
    """Name of the secret."""
    scope: str = ""
    client_auth: Literal["body", "basic"] = "body"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names of the secrets that the token is made from."""
        return (self.client_secret,)


class GoogleServiceAccount(Struct, frozen=True, tag="google_service_account"):
    """An access token got with an assertion that the account's key has signed (SPEC: RFC 7523, 2.1)."""

    service_account: str
    """Name of the secret that holds the key file, as JSON."""
    scope: str

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names of the secrets that the token is made from."""
        return (self.service_account,)


MadeBy = OAuth2Refresh | ClientCredentials | GoogleServiceAccount


class CredentialProof(Struct, frozen=True):
    """A value that shows that the sender also knows a second secret: lowercase hex of HMAC-SHA256,
    the second secret as the key, the credential as the message."""

    name: str
    """Name of the second secret."""
    place: Literal["header", "query"]
    key: str
    """Header name or query parameter."""


class CredentialUse(Struct, frozen=True):
    """Where the sender puts a credential at the last moment: a header, or (GA4) the query.

    It is the secret called `name` itself or, with `made_by`, an access token that the sender gets for
    it; `name` then only says to people which secret to look at.
    """

    name: str
    place: Literal["header", "query"]
    key: str
    """Header name or query parameter."""
    prefix: str = ""
    """Text before the credential, for example `Bearer `."""
    made_by: MadeBy | None = None
    proof: CredentialProof | None = None


def may_carry_secrets(url: str) -> bool:
    """Whether secrets may be posted to `url`: https, or plain http that stays on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


class OutgoingRequest(Struct, frozen=True):
    """One request to a vendor. It names its credential and never holds it."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    credential: CredentialUse | None = None
    item: bytes = b""
    """For tags that batch: this event's share of the body. The tag's `envelope` makes the body."""
    expires_micros: int | None = None
    """Unix time after which the vendor would refuse the event; None: the lane's own rule."""
    can_be_repeated: bool = True
    """False: the vendor could not tell a second copy from a second event, so after a failure in which the
    first may have arrived there is no second."""
    success_rule: bytes = b""
    """What the tag's `read` must know of its parameters to judge the answer; never sent."""


class TagResult(Struct, frozen=True):
    """What a firing tag wants done. A plain list of requests is the short form."""

    requests: tuple[OutgoingRequest, ...] = ()
    cookies: tuple[Cookie, ...] = ()
    pixels: tuple[str, ...] = ()
    """URLs that the browser shall fetch (only where the hit announced that it can)."""
    warnings: tuple[str, ...] = ()
    sends_nothing_because: str = ""
    match_keys: tuple[str, ...] = ()
    """Names of what identifies the person in these requests (`em`, `fbp`): the vendor's match quality
    depends on them, so they are counted (R137)."""
    failure: str = ""
    """The tag says of itself that it has failed, and why (nothing of the event); what stands beside it is
    carried out all the same."""
    has_raised: bool = False
    """Whether that was an error of its code."""
    listener: "Listener | None" = None
    """Wants to hear when the tags of this event have ended."""
    has_asked: bool = False
    """Requests of its own were answered before this was said."""
    console: tuple[str, ...] = ()
    """Lines for a person who looks: they go on the walk and nowhere else (they may hold personal data)."""


class Pending(Struct, frozen=True):
    """A step cannot go on before something has been answered.

    The pipeline awaits `awaitable`; its result takes the place of this value (and may be Pending
    again).
    """

    awaitable: Awaitable[Any]


# -- what the vendor said ----------------------------------------------------------------------


class VendorAnswer(Struct, frozen=True):
    """A vendor's complete HTTP answer; header names in lower case, body cut at 1 MB."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """First value of header `name` (lower case), or None."""
        return next((value for key, value in self.headers if key == name), None)


class Failed(Struct, frozen=True):
    """No answer came: `reason` names the kind, `timed_out` or `failed`; nothing of the request."""

    reason: str


class Ask(Struct, frozen=True):
    """A request whose answer somebody goes on with."""

    request: OutgoingRequest
    timeout_s: float
    done: Callable[[VendorAnswer | Failed], None]
    """Takes what came of it."""
    is_awaited: bool = True
    """False: it is sent, and nobody goes on with its answer."""


class Conversation:
    """A step that asks and goes on with the answers, as a template does that waits for its requests.

    Whoever carries it out sends what is asked, several at once, and tells the answers, until nothing is
    asked any more or `wall_s` is over; then there is a result, in the place of what the step would have
    returned at once. Nothing in here waits."""

    __slots__ = ()

    wall_s: float
    """Longest time over all of it (SPEC: reliability 4.2)."""

    def take_asks(self) -> list[Ask]:
        """What is to be sent now; each is told once."""
        raise NotImplementedError

    def answered(self, ask: Ask, answer: VendorAnswer | Failed) -> None:
        """What came of one; new ones may follow. Never raises."""
        raise NotImplementedError

    def end(self) -> None:
        """The time is over: it fails."""
        raise NotImplementedError

    def result(self) -> Any:
        """What has become of it so far; final when nothing is asked any more."""
        raise NotImplementedError


class Listener(Conversation):
    """A tag whose code goes on when the tags of its event have ended."""

    __slots__ = ()

    def event_ended(self, tags: list[dict[str, Any]]) -> None:
        """They have: id, status and time of each. Never raises; its result then is what came of that."""
        raise NotImplementedError


class Continuation(Conversation):
    """A client whose code goes on after it has claimed: it hears of its events, and may hand over more."""

    __slots__ = ()

    @property
    def answer(self) -> "Answer | None":
        """What it answers; None: it has not said so yet."""
        raise NotImplementedError

    def console(self) -> tuple[str, ...]:
        """What it has written for a person who looks, since it was asked last."""
        raise NotImplementedError

    def begins(self) -> None:
        """The events that it has handed over are about to run. Never raises."""
        raise NotImplementedError

    def tags_have_run(self, tags_of: Callable[[int], list[dict[str, Any]]]) -> None:
        """All tags of these events have; `tags_of` tells of those of one, by its index. Never raises."""
        raise NotImplementedError

    def take_events(self) -> list[EventData]:
        """Events that it has handed over since it was asked last."""
        raise NotImplementedError


class Outcome(Struct, frozen=True):
    """A tag's judgement of one delivery, by status *and* body.

    done      the vendor has the event
    retry     transient: the lane tries again (not before `retry_after_s`)
    dead      this event will never be accepted
    isolate   one of a batch is bad: the lane sends the halves again, with the same ids
    refused   credential or configuration: nothing of this destination will pass until mended
    """

    kind: Literal["done", "retry", "dead", "isolate", "refused"]
    reason: str = ""
    retry_after_s: float | None = None
    warnings: tuple[str, ...] = ()


DONE = Outcome("done")


def record_of(request: IncomingRequest, claimed: Claimed, container_version: str) -> Record:
    """The record of a claimed request: credentials dropped, the verdict on them kept."""
    if claimed.recorded_body is not None:
        request = replace(request, body=claimed.recorded_body)
    if claimed.conceal or claimed.verdict is not None:
        names = {name.encode() for name in claimed.conceal}
        query = without_parameters(request.query, claimed.conceal)
        headers = tuple(pair for pair in request.headers if pair[0] not in names)
        request = replace(request, query=query, headers=headers, verdict=claimed.verdict)
    return Record(request, container_version)


def without_parameters(query: bytes, names: Iterable[str]) -> bytes:
    """The query string without these parameters, however their names are escaped: what reads a credential
    decodes them, too."""
    dropped = set(names)
    return b"&".join(pair for pair in query.split(b"&") if _name_of(pair) not in dropped)


def _name_of(pair: bytes) -> str:
    return unquote_plus(pair.partition(b"=")[0].decode("utf-8", "replace"))
