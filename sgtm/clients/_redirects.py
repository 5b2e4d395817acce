"""Which addresses a client may send a browser to: no open redirect (R66)."""

import re

# no user, no backslash, no blank, quote or control character: what browsers and we could read differently
# (ASCII: without it the long s and the Kelvin sign are letters of "https" and of a host)
_URL = re.compile(
    r"https?://([a-z0-9.-]{1,253})(?::[0-9]{1,5})?(?:[/?#][!#-\[\]-~]*)?", re.IGNORECASE | re.ASCII
)


def may_redirect(url: str, hosts: tuple[str, ...]) -> bool:
    """Whether `url` is a plain http or https address of one of `hosts`; `*.` in front of a listed host
    stands for all hosts below it (not for itself)."""
    host = host_of(url)
    return bool(host) and any(
        host.endswith(listed[1:]) if listed.startswith("*.") else host == listed for listed in hosts
    )


def host_of(url: str) -> str:
    """Host of a plain http or https address, in small letters and without port; "" for anything else."""
    match = _URL.fullmatch(url)
    return match[1].lower() if match is not None else ""
