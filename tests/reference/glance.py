"""Plain twin of sgtm/_fast/glance.pyx."""

from typing import Any


def leading_tag_id(query: bytes) -> str:
    """See glance.pyi."""
    if query[:10] != b"v=2&tid=G-":
        return ""
    end = query.find(b"&", 10)
    return query[8:end].decode() if query[10:end].isalnum() and end > 0 else ""


def known_consent(data: dict[str, Any], known: dict[str, dict[str, Any]]) -> Any:
    """See glance.pyi."""
    gcs, gcd = data.get("x-ga-gcs", ""), data.get("x-ga-gcd", "")
    system = data.get("x-sst-system_properties")
    says_more = isinstance(system, dict) and "gcut" in system
    says_more |= any(key in data for key in ("x-ga-gcu", "consent_state", "x-ga-mp2-gcut"))
    if says_more or not isinstance(gcs, str) or not isinstance(gcd, str):
        return None
    return known.get(gcs, {}).get(gcd)
