"""Values: what is kept of a browser's event, each under the consent that it needs.

    session, page, device    analytics_storage        clicks, meta    ad_storage

Where consent for a group is refused, nothing of it is kept, and what was kept of it goes. That it was
refused is kept: it is what events without a browser have to know.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sgtm.consent import CONSENT_TYPES, Consent, ConsentType
from sgtm.cookies import read_cookie
from sgtm.delivery.context.rows import Snapshot
from sgtm.delivery.context.rules import CLIENT_ID, ContextRules, Group
from sgtm.event import Event, undefined
from sgtm.protocols.query import read_query

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
_NEEDS: dict[Group, tuple[ConsentType, ...]] = {
    "session": ("analytics_storage",),
    "page": ("analytics_storage",),
    "device": ("analytics_storage",),
    "clicks": ("ad_storage",),
    "meta": ("ad_storage",),
}
_CLICK_COOKIES = (("_gcl_ag", "gbraid"), ("_gcl_gb", "wbraid"), ("FPGCLAW", "gclid"), ("_gcl_aw", "gclid"))
_CLICK_COOKIE = re.compile(
    r"GCL\.\d+\.([A-Za-z0-9_-]{1,512})(?:\..*)?|2\.1\.k([A-Za-z0-9_-]{1,512})(?:\$.*)?", re.ASCII
)
_BOTH: tuple[ConsentType, ...] = ("analytics_storage", "ad_storage")
_MAX_TEXT = 2_048
_MAX_CLICK = 512


def keys_saved(rules: ContextRules) -> tuple[str, ...]:
    """Keys of event data that the rules keep."""
    return (*(key for group in rules.save for key in KEYS[group]), *rules.also_save)


def allowed_keys(rules: ContextRules, consent: Consent) -> list[str]:
    """Those of them that an event with this consent may have: none of a group that was refused."""
    groups = [(KEYS[group], _NEEDS[group]) for group in rules.save]
    return [
        name
        for names, needs in (*groups, (rules.also_save, _BOTH))
        if not any(getattr(consent, need) is False for need in needs)
        for name in names
    ]


def consent_said(consent: Consent) -> dict[str, bool]:
    """Consent by type; what was not said is missing."""
    return {name: said for name in CONSENT_TYPES if (said := getattr(consent, name)) is not None}


def snapshot_of(event: Event, rules: ContextRules, *, is_unset_granted: bool) -> Snapshot | None:
    """What is kept of this event; None where there is nothing to keep, or nothing to find it by."""
    keys = rules.keys_of(event)
    if not keys:
        return None
    values: dict[str, Any] = {}
    refused: set[str] = set()
    groups = [(KEYS[group], _NEEDS[group], group) for group in rules.save]
    for names, needs, group in (*groups, (rules.also_save, _BOTH, None)):
        if any(getattr(event.consent, need) is False for need in needs):
            refused.update(names)
        elif not event.consent.missing(needs, is_unset_granted=is_unset_granted):
            values.update(_values(event, names, group))
    consent = consent_said(event.consent)
    if not values and not consent:
        return None
    return Snapshot(
        keys=tuple(keys),
        values=values,
        denied=frozenset(refused),
        consent=consent,
        at=event.request.received_micros,
        ttl=rules.ttl_micros,
        client=rules.key_of(event, CLIENT_ID),
    )


def _values(event: Event, names: Sequence[str], group: Group | None) -> dict[str, Any]:
    read = ((name, event.get(name)) for name in names)
    found = {name: value for name, value in read if (_is_plain(value) if group else value is not undefined)}
    if group == "clicks":
        return {**_cookie_clicks(event), **found, **_page_clicks(event)}
    return {**_meta_ids(event), **found} if group == "meta" else found


def _is_plain(value: Any) -> bool:
    """Whether it is what a browser says under a key of Google's: a short text, or a number."""
    if isinstance(value, str):
        return 0 < len(value) <= _MAX_TEXT
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53


def _page_clicks(event: Event) -> dict[str, str]:
    """Click ids in the page's address: the click that led here."""
    url = event.text("page_location") or ""
    _, mark, query = url.partition("?")
    if not mark or len(url) > _MAX_TEXT * 4:
        return {}
    pairs = read_query(query.partition("#")[0].encode("utf-8", "surrogatepass"))
    return {name: pairs[name] for name in CLICK_IDS if 0 < len(pairs.get(name, "")) <= _MAX_CLICK}


def _cookie_clicks(event: Event) -> dict[str, str]:
    """Google's click ids as its cookies keep them, `GCL.<seconds>.<id>[.labels]` or `2.1.k<id>$i<seconds>`:
    of an earlier click (SPEC: google-runtime 6, ga4-protocol 5)."""
    found = {}
    for cookie, name in _CLICK_COOKIES:
        match = _CLICK_COOKIE.fullmatch((read_cookie(event.request, cookie) or "")[:_MAX_TEXT])
        if match is not None:
            found[name] = match[1] or match[2]
    return found


def _meta_ids(event: Event) -> dict[str, str]:
    return {name: value for name in KEYS["meta"] if (value := next(_meta_id(event, name), ""))}


def _meta_id(event: Event, name: str) -> Iterator[str]:
    for value in (event.data.get(f"x-fb-ck-{name}"), read_cookie(event.request, f"_{name}")):
        if isinstance(value, str) and 0 < len(value) <= _MAX_CLICK:
            yield value
