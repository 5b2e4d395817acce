"""gcs, gcd and explicit keys of event data -> one typed view of consent.

SPEC: ga4-protocol 7, google-runtime 6.6 (the gcd letters), ga4-protocol 11.1.4 (updates).
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from msgspec import Struct

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
    """Effective state of the four types: update, else default, else the type it is delegated to,
    else declared, else implicit, else unset."""
    pairs = [
        (_GCD_VALUE.get(gcd[index], 0), _GCD_VALUE.get(gcd[index + 1], 0))
        for index in range(1, min(len(gcd) - 1, 9), 2)
    ]

    def explicit(index: int) -> bool | None:
        second = pairs[index][1]
        update, default = _STATE.get(second & 3), _STATE.get(second >> 2 & 3)
        return update if update is not None else default

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


def read_consent(data: Mapping[str, Any]) -> Consent:
    """Read the consent of one event from its data.

    Explicit `consent_state` wins (convention of server-side senders), then `x-ga-gcd`, which also
    knows implicit states, then `x-ga-gcs` (ad and analytics storage only).
    """
    states: dict[str, bool | None] = dict.fromkeys(CONSENT_TYPES)
    gcs = data.get("x-ga-gcs")
    if isinstance(gcs, str) and len(gcs) >= 4 and gcs.startswith("G1"):
        for name, letter in zip(CONSENT_TYPES, gcs[2:4], strict=False):
            states[name] = {"1": True, "0": False}.get(letter)
    gcd = data.get("x-ga-gcd")
    if isinstance(gcd, str):
        known = zip(CONSENT_TYPES, _gcd_states(gcd), strict=False)
        states.update((name, state) for name, state in known if state is not None)
    explicit = data.get("consent_state")
    if isinstance(explicit, dict):
        for name in CONSENT_TYPES:
            if isinstance(explicit.get(name), bool):
                states[name] = explicit[name]
    system = data.get("x-sst-system_properties")
    update_type = data.get("x-ga-mp2-gcut") or (system.get("gcut") if isinstance(system, dict) else "") or ""
    return Consent(
        ad_storage=states["ad_storage"],
        analytics_storage=states["analytics_storage"],
        ad_user_data=states["ad_user_data"],
        ad_personalization=states["ad_personalization"],
        is_update=data.get("x-ga-gcu") == "1",
        update_type=str(update_type),
    )
