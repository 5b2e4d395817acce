"""How each operator of a condition reads its two sides.

Texts are compared as JavaScript's String() makes them (so what is missing is the text `undefined`),
numbers as Number() makes them, and any comparison with NaN is false. Case matters; `ignore_case`
exists for regular expressions only. A list that is *written* on the right side means any of its
members; a list that a variable brings is a text like any other.

SPEC: google-runtime 2.1; sandbox-api 5.10.4, A7.
"""

import operator
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from sgtm.javascript import number_of
from sgtm.triggers.condition import Operator

_DEFAULT_PORTS = {"http": "80", "https": "443"}
_WWW = re.compile(r"www\d*\.", re.ASCII)


def in_comma_list(left: str, right: str) -> bool:
    """Whether one part of the *left* text is the right one; nothing is trimmed."""
    return right in left.split(",")


def url_matches(left: str, right: str) -> bool:
    """Whether two addresses lead to one page: protocol, host without `www.`, port, and path in lower case
    without its last slash. http on port 80 and https on port 443 are the same."""
    return _page_of(left) == _page_of(right)


def _page_of(url: str) -> tuple[str, str, str, str]:
    try:
        parts = urlsplit(url)
        port = str(parts.port) if parts.port is not None else ""
    except ValueError:
        return "", "", "", url
    protocol = parts.scheme.lower()
    port = port or _DEFAULT_PORTS.get(protocol, "")
    if _DEFAULT_PORTS.get(protocol) == port:
        protocol = port = "web"
    return protocol, _WWW.sub("", parts.hostname or "", count=1), port, parts.path.lower().removesuffix("/")


TEXT_OPERATORS: Mapping[Operator, Callable[[str, str], bool]] = {
    "equals": operator.eq,
    "contains": operator.contains,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
    "in_comma_list": in_comma_list,
    "url_matches": url_matches,
}
"""They take the texts of both sides."""

NUMBER_OPERATORS: Mapping[Operator, Callable[[float, float], bool]] = {
    "greater": operator.gt,
    "greater_or_equals": operator.ge,
    "less": operator.lt,
    "less_or_equals": operator.le,
}
"""They take the numbers of both sides."""

WORDS: Mapping[Operator, tuple[str, str]] = {
    "equals": ("equals", "does not equal"),
    "contains": ("contains", "does not contain"),
    "starts_with": ("starts with", "does not start with"),
    "ends_with": ("ends with", "does not end with"),
    "in_comma_list": ("lists", "does not list"),
    "matches_regex": ("matches", "does not match"),
    "greater": ("is greater than", "is not greater than"),
    "greater_or_equals": ("is at least", "is not at least"),
    "less": ("is less than", "is not less than"),
    "less_or_equals": ("is at most", "is not at most"),
    "url_matches": ("is the page", "is not the page"),
    "css_selector": ("is an element of", "is no element of"),
}
"""How a person says it, and its negation."""


def hint(name: Operator, left: str, right: str) -> str:
    """What a person easily overlooks about two texts that did not compare as hoped, or "" (R266)."""
    if left == "undefined" and right != "undefined":
        return "the value is missing: it compares as the text `undefined`, not as 0 or nothing"
    if name in NUMBER_OPERATORS:
        bad = [text for text in (left, right) if number_of(text) != number_of(text)]
        return f"`{bad[0]}` is no number, and nothing compares with that" if bad else ""
    if name not in ("equals", "contains", "starts_with", "ends_with", "in_comma_list"):
        return ""
    holds = TEXT_OPERATORS[name]
    if holds(left.lower(), right.lower()):
        return "they differ in capital letters only, and case matters"
    if name == "equals" and left.strip() and right.strip() and number_of(left) == number_of(right):
        return "as numbers they are equal, but equals compares texts"
    if holds(left.strip(), right.strip()):
        return "they differ in white space only"
    return ""
