"""gcs, gcd and explicit keys of event data -> one typed view of consent.

SPEC: ga4-protocol 7, google-runtime 6.6 (the gcd letters), ga4-protocol 11.1.4 (updates).
"""

from typing import Any, Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from sgtm._fast.glance import known_consent

ConsentType = Literal["ad_storage", "analytics_storage", "ad_user_data", "ad_personalization"]
CONSENT_TYPES: tuple[ConsentType, ...] = get_args(ConsentType)


class Consent(Struct, frozen=True):
    """Consent of one event. True: granted, False: denied, None: unset (nobody said anything)."""

    ad_storage: bool | None = None
    analytics_storage: bool | None = None
    ad_user_data: bool | None = None
    ad_personalization: bool | None = None
    is_update: bool = False
    """The hit was sent again (or for the first time) because consent changed: `gcu=1`."""
    update_type: str = ""
    """Ids of the newly granted types, as in `gcut`: 1 ad_storage, 2 analytics_storage, ..."""

    def missing(self, required: tuple[ConsentType, ...], *, is_unset_granted: bool) -> list[ConsentType]:
        """Those of `required` that are not granted; unset counts as `is_unset_granted` says."""
        if not required:
            return []
        granted = (True, None) if is_unset_granted else (True,)
        return [name for name in required if getattr(self, name) not in granted]

    def newly_granted(self) -> tuple[ConsentType, ...]:
        """The types that `update_type` names; a tag that needs one of them could not fire before."""
        return tuple(
            CONSENT_TYPES[int(digit) - 1]
            for digit in self.update_type.split(".")
            if digit in ("1", "2", "3", "4")
        )


_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
_GCD_VALUE = {letter: value for value, letter in enumerate(_ALPHABET)}
_STATE = {1: None, 2: False, 3: True}


def _gcd_states(gcd: str) -> list[bool | None]:
    """Effective state of the four types: update, else default (or the container-scoped default of the
    tail, if it is used), else the type it is delegated to, else declared, else implicit, else unset."""
    pairs = [
        (_GCD_VALUE.get(gcd[index], 0), _GCD_VALUE.get(gcd[index + 1], 0))
        for index in range(1, min(len(gcd) - 1, 9), 2)
    ]
    tail, last = (_GCD_VALUE.get(letter, 0) for letter in (gcd[10:] if len(gcd) == 12 else "00"))
    scoped = (tail >> 4, tail >> 2, tail, last) if last & 4 else (0, 0, 0, 0)

    def explicit(index: int) -> bool | None:
        second = pairs[index][1]
        for code in (second, second >> 2, scoped[index]):
            if (state := _STATE.get(code & 3)) is not None:
                return state
        return None

    states: list[bool | None] = []
    for index, (first, second) in enumerate(pairs):
        state = explicit(index)
        delegate = (first >> 2) - 12
        if state is None and 0 <= delegate < len(pairs):
            state = explicit(delegate)
        if state is None:
            state = _STATE.get(second >> 4 & 3)
        if state is None:
            state = _STATE.get(first & 3)
        states.append(state)
    return states


_known: dict[str, dict[str, Consent]] = {}
"""gcs -> gcd -> what the two say. PERF: a site sends few different ones, so nearly every hit finds its."""
MAX_KNOWN = 64
"""Of each; whoever sends others makes us forget, no more."""


def _consent_of(gcs: str, gcd: str) -> Consent:
    """What the two texts say."""
    states: dict[str, bool | None] = {}
    if len(gcs) == 4 and gcs.startswith("G1"):
        letters = zip(CONSENT_TYPES, gcs[2:], strict=False)
        states.update((name, {"1": True, "0": False}.get(letter)) for name, letter in letters)
    known = zip(CONSENT_TYPES, _gcd_states(gcd), strict=False)
    states.update((name, state) for name, state in known if state is not None)
    consent = replace(Consent(), **states)
    if len(_known) >= MAX_KNOWN or len(_known.get(gcs, ())) >= MAX_KNOWN:
        _known.clear()
    _known.setdefault(gcs, {})[gcd] = consent
    return consent


def read_consent(data: dict[str, Any]) -> Consent:
    """Read the consent of one event from its data.

    Explicit `consent_state` wins (convention of server-side senders), then `x-ga-gcd`, which also
    knows implicit states, then `x-ga-gcs` (ad and analytics storage only).
    """
    known = known_consent(data, _known)
    if known is not None:
        return known
    gcs, gcd = data.get("x-ga-gcs"), data.get("x-ga-gcd")
    consent = _consent_of(
        gcs[:4] if isinstance(gcs, str) else "",
        (gcd if len(gcd) <= 12 else gcd[:9]) if isinstance(gcd, str) else "",
    )
    explicit = data.get("consent_state")
    if isinstance(explicit, dict):
        said = {name: explicit[name] for name in CONSENT_TYPES if isinstance(explicit.get(name), bool)}
        consent = replace(consent, **said)
    system = data.get("x-sst-system_properties")
    of_system = system.get("gcut") if isinstance(system, dict) else None
    update_type = data.get("x-ga-mp2-gcut") or of_system
    is_update = data.get("x-ga-gcu") == "1"
    if is_update or update_type:
        consent = replace(consent, is_update=is_update, update_type=str(update_type or ""))
    return consent


def gcd_text(consent: Consent) -> str:
    """`gcd` that says what `consent` says: each state as an update, in active consent mode, nothing else
    known (SPEC: google-runtime 6.6)."""
    letters = {None: "1l", False: "1m", True: "1n"}
    return "1" + "".join(letters[getattr(consent, name)] for name in CONSENT_TYPES) + "5l1"
