"""What a container says about context: whose events tell, whose events inherit, under which keys."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from sgtm.delivery.context.keys import key_of, pair_key
from sgtm.event import Event

Group = Literal["session", "page", "device", "clicks", "meta"]
Side = Literal["browser", "server"]
CLIENT_ID = "client_id"
"""The key that is always there."""
NO_VALUES = frozenset(("", "undefined", "null", "(not set)"))
"""Texts that are judged with more care (`Event.text`)."""
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_PERIOD = r"^[1-9][0-9]{0,4}[smhd]$"
_Names = tuple[Annotated[str, Meta(min_length=1)], ...]


def micros_of(period: str) -> int:
    """`10m` in microseconds."""
    return int(period[:-1]) * _SECONDS[period[-1]] * 1_000_000


class HoldRule(Struct, frozen=True, forbid_unknown_fields=True):
    """Two events that are one: the browser's and the server's. One waits for the other, and one is sent."""

    name: Annotated[str, Meta(min_length=1, max_length=64, description="A name of your choice.")]
    key: Annotated[
        str,
        Meta(min_length=1, description="Which of `keys:` both have, as `order`; `client_id` is too wide."),
    ]
    events: Annotated[
        _Names,
        Meta(
            min_length=1,
            description="Names of events that have two halves, the same from both clients: `[purchase, "
            "refund]`. Halves of different names are no pair.",
        ),
    ]
    wait: Annotated[
        str,
        Meta(
            pattern=r"^([1-9][0-9]{0,4}[sm]|([1-9]|1[0-9]|2[0-4])h)$",
            description="How long one waits for the other, as `10m`; 24h at most.",
        ),
    ] = "10m"
    waits: Annotated[
        Literal["both", "browser", "server"],
        Meta(
            description="Whose event waits. `server`: the browser's is sent at once, and the server's is "
            "sent only where the browser's never came."
        ),
    ] = "both"
    prefer: Annotated[
        Side,
        Meta(
            description="Whose value wins where both have one. What only one has is kept, and what `save` "
            "tells of a browser is always the browser's."
        ),
    ] = "server"
    fields: Annotated[
        dict[str, Side],
        Meta(description="Exceptions, by key of event data: `{event_id: browser}`."),
    ] = {}
    at_timeout: Annotated[
        Literal["send", "drop", "flag"],
        Meta(
            description="What becomes of one whose counterpart does not come: sent as it is, dropped (until "
            "the counterpart comes after all), or sent with `x-sgtm-counterpart: missing`."
        ),
    ] = "send"

    def holds(self, side: Side) -> bool:
        """Whether events of this side wait."""
        return self.waits in ("both", side)

    @property
    def wait_micros(self) -> int:
        """How long."""
        return micros_of(self.wait)


class ContextRules(Struct, frozen=True, forbid_unknown_fields=True):
    """What browsers tell, kept for events that come without one: webhooks, other servers, imports."""

    browser_clients: Annotated[
        _Names, Meta(min_length=1, description="Names of the clients whose events come from browsers.")
    ]
    server_clients: Annotated[
        _Names,
        Meta(min_length=1, description="Names of the clients whose events inherit what browsers told."),
    ]
    keys: Annotated[
        dict[str, _Names],
        Meta(
            description="By what both can be told to belong together, besides `client_id`: a name, and key "
            "paths of event data of which the first that has a value counts. The first key that finds "
            "something decides, `client_id` last.",
            examples=[{"order": ["transaction_id"], "user": ["user_id"]}],
        ),
    ] = field(default_factory=lambda: {"order": ("transaction_id",), "user": ("user_id",)})
    ttl: Annotated[str, Meta(pattern=_PERIOD, description="How long each value is kept, as `12h`, `7d`.")] = (
        "7d"
    )
    save: Annotated[
        tuple[Group, ...],
        Meta(
            description="What is kept. With analytics_storage: `session` (client id, session id and number), "
            "`page` (location, referrer), `device` (address, user agent); with ad_storage: `clicks` (gclid, "
            "wbraid, gbraid, fbclid, ttclid, msclkid, ...), `meta` (fbp, fbc)."
        ),
    ] = ("session", "page", "device", "clicks", "meta")
    also_save: Annotated[
        _Names,
        Meta(description="More keys of event data, kept where both storages are granted."),
    ] = ()
    unknown_consent: Annotated[
        Literal["granted", "denied", "unset"],
        Meta(
            description="Consent of an event of `server_clients` that says nothing of it and of whose "
            "browser nothing is known. `unset`: what `consent.unset` says."
        ),
    ] = "unset"
    unknown_consent_of: Annotated[
        dict[str, Literal["granted", "denied", "unset"]],
        Meta(description="The same for single clients, by name: `{Offline import: granted}`."),
    ] = {}
    holds: Annotated[
        tuple[HoldRule, ...],
        Meta(description="Events that wait for their counterpart; none unless written."),
    ] = ()

    @property
    def ttl_micros(self) -> int:
        """How long values are kept."""
        return micros_of(self.ttl)

    def readers(self) -> tuple[tuple[str, Callable[[Event], bytes | None]], ...]:
        """Each key's name, and what gives its digest, in the order in which they are looked up."""
        return tuple((name, partial(self.key_of, name=name)) for name in (*self.keys, CLIENT_ID))

    def key_of(self, event: Event, name: str) -> bytes | None:
        """Digest of one key; None where the event has no value for it."""
        for path in (CLIENT_ID,) if name == CLIENT_ID else self.keys.get(name, ()):
            # PERF: most keys stand at the top, as texts
            text = event.data.get(path)
            if text is None and "." not in path:
                continue
            if not isinstance(text, str) or text in NO_VALUES:
                text = event.text(path)
            if text is not None:
                return key_of(name, text)
        return None

    def side_of(self, client_name: str) -> Side | None:
        """Whose events a client makes."""
        if client_name in self.browser_clients:
            return "browser"
        return "server" if client_name in self.server_clients else None

    def pair_keys(self, key: bytes) -> Iterator[bytes]:
        """Where halves may meet that have this key."""
        return (pair_key(rule.name, name, key) for rule in self.holds for name in rule.events)

    def hold_of(self, event: Event) -> HoldRule | None:
        """The first rule that an event of this name falls under."""
        return next((rule for rule in self.holds if event.name in rule.events), None)
