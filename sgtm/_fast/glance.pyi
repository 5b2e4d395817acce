"""What a glance at a hit tells, without parsing it, or at its event data afterwards."""

from typing import Any, TypeVar

_Seen = TypeVar("_Seen")

def leading_tag_id(query: bytes) -> str:
    """The `tid` where it stands as every gtag writes it, right behind `v=2` and before another parameter,
    `G-` and ASCII letters and digits; "" where one has to search."""

def known_consent(data: dict[str, Any], known: dict[str, dict[str, _Seen]]) -> _Seen | None:
    """What stands in `known` under the texts of gcs and gcd ("" where missing), for event data that say
    nothing else of consent; None for all others."""
