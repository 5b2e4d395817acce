"""Which addresses a client may send a browser to: no open redirect (R66)."""

import re

# no user, no backslash, no blank, quote or control character: what browsers and we could read differently
_URL = re.compile(r"https?://([a-z0-9.-]{1,253})(?::[0-9]{1,5})?(?:[/?#][!#-\[\]-~]*)?", re.IGNORECASE)


def may_redirect(url: str, hosts: tuple[str, ...]) -> bool:
    """Whether `url` is a plain http or https address of one of `hosts`; `*.` in front of a listed host
    stands for all hosts below it (not for itself)."""
    match = _URL.fullmatch(url)
    if match is None:
        return False
    host = match[1].lower()
    return any(host.endswith(listed[1:]) if listed.startswith("*.") else host == listed for listed in hosts)
