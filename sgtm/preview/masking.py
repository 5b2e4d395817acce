"""Masking: what a view never shows, and what it shows only to the person whose request it is.

Credentials are masked always: query parameters, headers and cookies that hold them, by what their client says
and by their names. Personal data are masked in what was not sent by who looks: by the names of keys, by how
a value looks (an e-mail address, a digest), and by who sent it. Whatever was masked once is masked wherever
else it stands: in a variable, a condition, an outgoing request, an answer.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import msgspec

from sgtm.messages import CREDENTIALS, EventData, IncomingRequest

SECRET = "(secret)"  # noqa: S105 - what is shown instead of one
MASKED = "(masked)"

_SECRET_NAME = re.compile(
    r"secret|passw|passphrase|credential|authori[sz]ation|token|jwt|csrf|xsrf|signature|hmac"
    r"|(?:api|access|auth|private|signing|write)[-_]?key|sgtm[-_]preview|gtm-server-preview",
    re.IGNORECASE,
)
_SECRET_COOKIE = re.compile(
    r"(?:^|[-_.])(?:auth|sess|session|sid)|sess(?:ion)?id|login|remember", re.IGNORECASE
)
"""A query parameter `sid` is a number of visits; a cookie that is called so opens somebody's account."""
_PERSONAL_NAME = re.compile(
    r"user_data|e?mail|phone|(?:first|last|full|sur|given|family|company|billing|shipping)_?name|street|address"
    r"|city|postal|post_?code|zip|birth|gender|(?:user|client|customer|visitor|device|external|member)_?id"
    r"|ip_override|remote_addr|forwarded(?:-for)?$|real-ip|connecting-ip|client-ip|client_ip"
    r"|g?clid|[gwd]braid|fb[cp]$|^_?(?:em|ph|fn|ln|ct|st|zp|db|ge|uid|cid|uip|sid|fpid)$",
    re.IGNORECASE,
)
_MAILBOX = r"[\w.%+-]{1,64}(?:@|%(?:25){0,3}40|\\u0040|&#64;|&#x40;|&commat;)[\w-]{1,63}(?:\.[\w-]{1,63})+"
_LOOKS_PERSONAL = re.compile(_MAILBOX + r"|\b[0-9a-fA-F]{64}\b", re.IGNORECASE)
_MAY_BE_ENCODED = re.compile(r"[A-Za-z0-9+/_=%-]{12,}")
_HEXADECIMAL = re.compile(r"(?:[0-9a-fA-F]{2}){6,}")
_STANDARD_BASE64 = str.maketrans("-_", "+/", "=%")
_JSON_PAIR = re.compile(
    r'"(?P<name>(?:[^"\\]|\\.){1,200})"(?P<colon>\s*:\s*)"(?P<value>(?:[^"\\]|\\.)*)"', re.DOTALL
)
_PAIR = re.compile(r"(?P<name>[^=&?\s]{1,200})=(?P<value>[^&\r\n]*)")
_SHORTEST_SECRET, _SHORTEST_PERSONAL = 3, 4
_SHORTEST_IN_A_BODY = 6
"""Of a credential: JSON says much that is short, and each of these is sought everywhere."""
_MOST_VALUES = 500
_NO_VALUES = frozenset({"true", "false", "null", "undefined", "(not set)", "none", "https", "http"})


def is_secret_name(name: str) -> bool:
    """Whether a query parameter, header or cookie of this name holds a credential."""
    if name.lower().startswith("access-control-"):  # they talk of credentials
        return False
    return name.lower() in CREDENTIALS or _SECRET_NAME.search(name) is not None


def is_personal_name(name: str) -> bool:
    """Whether what is called so is about a person."""
    return _PERSONAL_NAME.search(name) is not None


def without_persons(text: str) -> str:
    """A text without what looks like a person's, also where it is encoded: base64, hexadecimal, URL."""
    return _MAY_BE_ENCODED.sub(_unless_personal, _LOOKS_PERSONAL.sub(MASKED, text))


def beginning(name: str, most: int, hides_persons: bool) -> str:
    """The first characters of a name, after the masking: what was cut in two is not known any more."""
    if hides_persons:
        name = without_persons(name[: 4 * most])
    return name[:most]


def _unless_personal(found: re.Match[str]) -> str:
    return MASKED if any(_LOOKS_PERSONAL.search(text) for text in _decoded(found[0])) else found[0]


def _decoded(text: str) -> Iterator[str]:
    """What a text may stand for."""
    plain = unquote(unquote(text)) if "%" in text else text
    if plain != text:
        yield plain
    for digits in _HEXADECIMAL.findall(plain):
        yield bytes.fromhex(digits).decode("latin-1")
    letters = plain.translate(_STANDARD_BASE64)
    for skipped in range(4):  # it may stand behind a slash, which is a digit of base64 too
        digits = letters[skipped:]
        with suppress(ValueError):
            yield b64decode(digits[: len(digits) // 4 * 4 or None]).decode("latin-1")
            yield b64decode(digits + "=" * (-len(digits) % 4)).decode("latin-1")


class Masks:
    """Takes out of texts what must not be shown.

    `concealed` are names of query parameters and headers in which a client found credentials,
    `secrets` the values of the process's own secrets. `hides_persons`: personal data too.
    """

    def __init__(
        self,
        request: IncomingRequest,
        events: Iterable[EventData] = (),
        *,
        concealed: Iterable[str] = (),
        secrets: Iterable[str] = (),
        hides_persons: bool,
    ) -> None:
        self.hides_persons = hides_persons
        self._concealed = frozenset(name.lower() for name in concealed)
        known = {value: SECRET for value in secrets if len(value) >= _SHORTEST_SECRET}
        known |= {value: SECRET for value in self._secrets_of(request) if len(value) >= _SHORTEST_SECRET}
        self.has_secrets = any(True for _ in self._secrets_of(request))
        """Whether the request brought a credential."""
        if hides_persons:
            found = {*self._persons_of(request), *(text for data in events for text in personal_texts(data))}
            for value in sorted(found, key=len, reverse=True)[:_MOST_VALUES]:
                if len(value) >= _SHORTEST_PERSONAL and value not in _NO_VALUES:
                    known.setdefault(value, MASKED)
        self._replace = _replacing(known)

    # -- what is asked of it ---------------------------------------------------------------------

    def text(self, text: str) -> str:
        """A text without what must not be shown."""
        text = self._replace(text)
        return without_persons(text) if self.hides_persons else text

    def name(self, name: str) -> str:
        """A name that a sender chose: of an event, a key, a header."""
        return without_persons(name) if self.hides_persons else name

    def named(self, name: str, value: str) -> str:
        """The value of a header, cookie or parameter of this name."""
        if self._is_secret(name):
            return SECRET
        if self.hides_persons and is_personal_name(name):
            return MASKED
        return self.text(value)

    def header(self, name: str, value: str) -> str:
        """The value of a header: a list of cookies cookie by cookie."""
        if name.lower() == "cookie":
            return "; ".join(self._cookie(pair) for pair in value.split("; "))
        if name.lower() == "set-cookie":
            cookie, *attributes = value.split("; ")
            return "; ".join([self._cookie(cookie), *attributes])
        if name.lower() == "referer":
            return self.form(value)
        return self.named(name, value)

    def form(self, text: str) -> str:
        """A URL, a query, a form, lines of them: pair by pair."""
        return self.text(_PAIR.sub(self._pair, text))

    def content(self, body: str) -> str:
        """A body, whatever it is."""
        if _is_json(body):
            return self.text(self._json(body))
        return self.form(body)

    def data(self, value: Any, name: str = "") -> Any:
        """Plain data, key by key."""
        if isinstance(value, dict):
            hides_all = self.hides_persons and name == "user_data"
            return {
                self.name(str(key)): self.data(item, "user_data" if hides_all else str(key))
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self.data(item, name) for item in value]
        is_scalar = isinstance(value, (str, int, float)) and not isinstance(value, bool)
        if is_scalar and self.hides_persons and name and is_personal_name(name):
            return MASKED
        if isinstance(value, str):
            return self._long(value) if not name or not self._is_secret(name) else SECRET
        return value

    # -- inside ----------------------------------------------------------------------------------

    def _long(self, value: str) -> str:
        """A text that may be a URL with a query."""
        return self.form(value) if self.hides_persons and "=" in value else self.text(value)

    def _json(self, body: str) -> str:
        if not self.hides_persons:
            return _JSON_PAIR.sub(self._json_pair, body)
        try:
            return msgspec.json.encode(self.data(msgspec.json.decode(body))).decode()
        except (msgspec.MsgspecError, RecursionError):
            return self.form(body)

    def _pair(self, found: re.Match[str]) -> str:
        name, value = found["name"], found["value"]
        shown = self.named(unquote_plus(name), value)
        return f"{name}={shown}" if value else found[0]

    def _json_pair(self, found: re.Match[str]) -> str:
        return f'"{found["name"]}"{found["colon"]}"{SECRET}"' if self._is_secret(found["name"]) else found[0]

    def _cookie(self, pair: str) -> str:
        name, equals, value = pair.partition("=")
        if not equals:
            return self.text(pair)
        if _SECRET_COOKIE.search(name):
            return f"{name}={SECRET}"
        return f"{name}={MASKED if self.hides_persons else self.named(name.strip(), value)}"

    def _is_secret(self, name: str) -> bool:
        return name.lower() in self._concealed or is_secret_name(name)

    def _secrets_of(self, request: IncomingRequest) -> Iterator[str]:
        for name, value, is_cookie in _named_texts(request):
            if value and (self._is_secret(name) or (is_cookie and _SECRET_COOKIE.search(name))):
                yield value
                yield from value.split()[1:]  # `Bearer abc`: also abc alone
        for name, value in _pairs_of(request.body.decode("utf-8", "replace")):
            if len(value) >= _SHORTEST_IN_A_BODY and self._is_secret(name):
                yield value

    def _persons_of(self, request: IncomingRequest) -> Iterator[str]:
        yield request.remote_address
        for name, value, is_cookie in _named_texts(request):
            if is_cookie or is_personal_name(name):
                yield value


def personal_texts(value: Any, name: str = "") -> Iterator[str]:
    """Texts of event data that are about a person."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from personal_texts(item, "user_data" if name == "user_data" else str(key))
    elif isinstance(value, list):
        for item in value:
            yield from personal_texts(item, name)
    elif isinstance(value, str) and name and is_personal_name(name):
        yield value


def _named_texts(request: IncomingRequest) -> Iterator[tuple[str, str, bool]]:
    """Everything in the request's head that has a name, decoded; and whether it is a cookie."""
    for pair in request.query.decode("utf-8", "replace").split("&"):
        name, _, value = pair.partition("=")
        yield unquote_plus(name), unquote_plus(value), False
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode("utf-8", "replace"), raw_value.decode("utf-8", "replace")
        if name == "cookie":
            for pair in value.split(";"):
                cookie, _, content = pair.partition("=")
                yield cookie.strip(), content.strip(), True
        else:
            yield name, value, False


def _is_json(body: str) -> bool:
    return body.lstrip()[:1] in ("{", "[")


def _pairs_of(body: str) -> Iterator[tuple[str, str]]:
    """Names and texts of a body of JSON or of a form, wherever they stand in it."""
    if _is_json(body):
        for found in _JSON_PAIR.finditer(body):
            yield found["name"], _unescaped(found["value"])
    else:
        for found in _PAIR.finditer(body):
            yield unquote_plus(found["name"]), unquote_plus(found["value"])


def _unescaped(text: str) -> str:
    try:
        return msgspec.json.decode(f'"{text}"', type=str)
    except (msgspec.MsgspecError, UnicodeError):
        return text


def _replacing(known: Mapping[str, str]) -> Callable[[str], str]:
    """A function that replaces each known value, however it is escaped."""
    shown: dict[str, str] = {}
    for value, mask in known.items():
        as_json = msgspec.json.encode(value).decode()[1:-1]
        for form in (value, quote(value, safe=""), quote_plus(value), as_json):
            shown.setdefault(form.lower(), mask)
    if not shown:
        return lambda text: text
    longest_first = sorted(shown, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
    return lambda text: pattern.sub(lambda found: shown.get(found[0].lower(), MASKED), text)
