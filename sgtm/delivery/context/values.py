"""Values: what is kept of a browser's event, each under the consent that it needs.

    session, page, device    analytics_storage        clicks, meta    ad_storage

Where consent for a group is refused, nothing of it is kept, and what was kept of it goes. That it was
refused is kept: it is what events without a browser have to know.
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_plus

from msgspec import Struct

from sgtm.consent import CONSENT_TYPES, Consent, ConsentType
from sgtm.cookies import read_cookie
from sgtm.delivery.context.rows import Kept, Snapshot
from sgtm.delivery.context.rules import CLIENT_ID, ContextRules, Group
from sgtm.event import Event, undefined

CLICK_IDS = (
    *("gclid", "wbraid", "gbraid", "dclid", "fbclid", "ttclid", "msclkid", "twclid", "li_fat_id"),
    *("ScCid", "epik", "rdt_cid", "irclickid"),
)
"""Parameters in which ad platforms say which click it was."""
KEYS: dict[Group, tuple[str, ...]] = {
    "session": ("client_id", "ga_session_id", "ga_session_number"),
    "page": ("page_location", "page_referrer"),
    "device": ("ip_override", "user_agent"),
    "clicks": CLICK_IDS,
    "meta": ("fbp", "fbc"),
}
_ANALYTICS: tuple[ConsentType, ...] = ("analytics_storage",)
_ADS: tuple[ConsentType, ...] = ("ad_storage",)
_BOTH = _ANALYTICS + _ADS
_NEEDS: dict[Group, tuple[ConsentType, ...]] = {
    "session": _ANALYTICS,
    "page": _ANALYTICS,
    "device": _ANALYTICS,
    "clicks": _ADS,
    "meta": _ADS,
}
_CLICK_COOKIES = (("_gcl_ag", "gbraid"), ("_gcl_gb", "wbraid"), ("FPGCLAW", "gclid"), ("_gcl_aw", "gclid"))
_CLICK_COOKIE = re.compile(
    r"GCL\.\d+\.([A-Za-z0-9_-]{1,512})(?:\..*)?|2\.1\.k([A-Za-z0-9_-]{1,512})(?:\$.*)?", re.ASCII
)
_CLICK_PARAMETER = re.compile(rf"[?&]({'|'.join(CLICK_IDS)})=([^&#]{{1,1536}})")
_MAX_TEXT = 2_048
_MAX_CLICK = 512
_MAX_URL = 8_192
_MOST_CONSENTS = 1_000


def keys_saved(rules: ContextRules) -> tuple[str, ...]:
    """Keys of event data that the rules keep."""
    return (*(key for group in rules.save for key in KEYS[group]), *rules.also_save)


def needs_of(rules: ContextRules) -> dict[str, tuple[ConsentType, ...]]:
    """Each of them, and which consent it needs."""
    groups = {key: _NEEDS[group] for group in rules.save for key in KEYS[group]}
    return groups | dict.fromkeys(rules.also_save, _BOTH)


def allowed_keys(rules: ContextRules, consent: Consent) -> list[str]:
    """Those of them that an event with this consent may have: none of a group that was refused."""
    return [
        name
        for name, needs in needs_of(rules).items()
        if not any(getattr(consent, need) is False for need in needs)
    ]


def consent_said(consent: Consent) -> dict[str, bool]:
    """Consent by type; what was not said is missing."""
    return {name: said for name in CONSENT_TYPES if (said := getattr(consent, name)) is not None}


class _Allowed(Struct, frozen=True):
    """What an event with a certain consent tells."""

    names: tuple[str, ...]
    """Keys of event data at the top that are kept,"""
    others: tuple[str, ...]
    """key paths that are,"""
    has_ads: bool
    """and whether what ads are known by is."""
    refused: frozenset[str]
    said: dict[str, bool]


class Saver:
    """What is kept of events, by the rules of one container. PERF: made once, asked for every hit; a site's
    visitors say few different things about consent."""

    def __init__(self, rules: ContextRules, *, is_unset_granted: bool) -> None:
        self.rules, self._is_unset_granted, self._ttl = rules, is_unset_granted, rules.ttl_micros
        self._keys, self._needs = rules.readers(), needs_of(rules)
        self._allowed: dict[Consent, _Allowed] = {}
        self._has_clicks, self._has_meta = "clicks" in rules.save, "meta" in rules.save

    def snapshot(self, event: Event) -> Snapshot | None:
        """What is kept of this event; None where there is nothing to keep, or nothing to find it by."""
        named = {name: key for name, read in self._keys if (key := read(event)) is not None}
        if not named:
            return None
        allowed = self._allowed.get(event.consent) or self._allow(event.consent)
        values = self._values(event, allowed)
        if not values and not allowed.said:
            return None
        at = event.request.received_micros
        return Snapshot(
            keys=tuple(named.values()),
            values={name: Kept(value, at) for name, value in values.items()},
            denied=allowed.refused,
            consent=allowed.said,
            at=at,
            ttl=self._ttl,
            client=named.get(CLIENT_ID),
            needs=self._needs,
        )

    def _allow(self, consent: Consent) -> _Allowed:
        groups = [(KEYS[group], _NEEDS[group]) for group in self.rules.save]
        kept = [names for names, needs in groups if self._may(consent, needs)]
        others = self.rules.also_save
        if len(self._allowed) >= _MOST_CONSENTS:
            self._allowed.clear()
        made = self._allowed[consent] = _Allowed(
            tuple(name for names in kept for name in names),
            others if self._may(consent, _BOTH) else (),
            self._may(consent, _ADS),
            frozenset(self._needs.keys() - allowed_keys(self.rules, consent)),
            consent_said(consent),
        )
        return made

    def _may(self, consent: Consent, needs: tuple[ConsentType, ...]) -> bool:
        return not consent.missing(needs, is_unset_granted=self._is_unset_granted)

    def _values(self, event: Event, allowed: _Allowed) -> dict[str, Any]:
        values: dict[str, Any] = {}
        data = event.data
        for name in allowed.names:
            value = data.get(name)
            if value is not None and _is_plain(value):
                values[name] = value
        if allowed.has_ads:
            self._ad_values(event, values)
        for name in allowed.others:
            value = event.get(name)
            if value is not undefined:
                values[name] = value
        return values

    def _ad_values(self, event: Event, values: dict[str, Any]) -> None:
        """What stands in cookies and in the page's address: a click that led here is newer than a cookie."""
        cookies = b";".join([text for name, text in event.request.headers if name == b"cookie"])
        if self._has_clicks:
            if b"_gcl_" in cookies or b"FPGCLAW" in cookies:
                for name, value in _cookie_clicks(event):
                    values.setdefault(name, value)
            url = event.data.get("page_location")
            if isinstance(url, str) and "?" in url[:_MAX_URL]:
                values.update(_page_clicks(url[:_MAX_URL]))
        if self._has_meta:
            for name in KEYS["meta"]:
                said: Any = event.data.get(f"x-fb-ck-{name}")
                if said is None and b"_fb" in cookies:
                    said = read_cookie(event.request, f"_{name}")
                if isinstance(said, str) and 0 < len(said) <= _MAX_CLICK:
                    values.setdefault(name, said)


def _is_plain(value: Any) -> bool:
    """Whether it is what browsers say under keys of Google's: a short text, or a number."""
    if isinstance(value, str):
        return 0 < len(value) <= _MAX_TEXT
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53


def _page_clicks(url: str) -> Iterable[tuple[str, str]]:
    """Click ids in the page's address; the first of a repeated name."""
    found: dict[str, str] = {}
    for match in _CLICK_PARAMETER.finditer(url.partition("#")[0]):
        value = unquote_plus(match[2])
        if len(value) <= _MAX_CLICK:
            found.setdefault(match[1], value)
    return found.items()


def _cookie_clicks(event: Event) -> Iterable[tuple[str, str]]:
    """Google's click ids as its cookies keep them, `GCL.<seconds>.<id>[.labels]` or `2.1.k<id>$i<seconds>`:
    of an earlier click (SPEC: google-runtime 6, ga4-protocol 5)."""
    found: dict[str, str] = {}
    for cookie, name in _CLICK_COOKIES:
        match = _CLICK_COOKIE.fullmatch((read_cookie(event.request, cookie) or "")[:_MAX_TEXT])
        if match is not None:
            found[name] = match[1] or match[2]
    return found.items()
