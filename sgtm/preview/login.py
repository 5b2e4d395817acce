"""Login: who may open the preview in a browser.

The token of the admin listener is given once, in a form; the browser then holds a signed cookie, which no
script reads and no other site sends. Nothing is kept here: the cookie says until when it holds, a new token
ends all of them, and they outlive a restart. What changes something needs a second value, which only the
page itself can read (SPEC: requirements R248; the cookie alone could be sent by whatever the browser opens).
"""

import hashlib
import hmac
import secrets
from urllib.parse import parse_qs

from sgtm.messages import Cookie

COOKIE = "sgtm_preview"
LIFE_S = 12 * 3600
MAX_FAILURES, FAILURES_S = 10, 60.0
"""Wrong tokens in so many seconds, of all who try together, before nobody is let in for a while."""
_PATH = "/preview"


class Login:
    """The door. Times are Unix seconds for cookies, monotonic ones for failures."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._key = hashlib.blake2b(self._token, person=b"sgtm preview").digest()
        self._failures: list[float] = []

    def is_token(self, given: str) -> bool:
        """Whether this is the token."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token)

    def wait_s(self, now_s: float) -> float:
        """Seconds until a token may be tried again; 0: now."""
        self._failures = [at for at in self._failures if now_s - at < FAILURES_S]
        return FAILURES_S - (now_s - self._failures[0]) if len(self._failures) >= MAX_FAILURES else 0.0

    def failed(self, now_s: float) -> None:
        """A wrong token was given."""
        self._failures.append(now_s)

    def cookie(self, unix_s: float, *, is_secure: bool) -> Cookie:
        """A cookie that lets its browser in."""
        said = f"{int(unix_s) + LIFE_S}.{secrets.token_urlsafe(12)}"
        return _cookie(f"{said}.{self._sign('cookie', said)}", LIFE_S, is_secure=is_secure)

    def lets_in(self, value: str, unix_s: float) -> bool:
        """Whether this is a cookie of ours whose time is not over."""
        said, _, signature = value.rpartition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._sign("cookie", said).encode()):
            return False
        return unix_s < int(said.partition(".")[0])

    def csrf(self, value: str) -> str:
        """What a page that came with this cookie sends along with what changes something."""
        return self._sign("csrf", value)

    def is_csrf(self, given: str, value: str) -> bool:
        """Whether it did."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.csrf(value).encode())

    def _sign(self, purpose: str, text: str) -> str:
        signed = f"{purpose}:{text}".encode("utf-8", "replace")
        return hmac.new(self._key, signed, hashlib.sha256).hexdigest()


def no_cookie(*, is_secure: bool) -> Cookie:
    """Takes the cookie away."""
    return _cookie("", 0, is_secure=is_secure)


def token_in(form: bytes) -> str:
    """The token of the form; "" where there is none."""
    try:
        fields = parse_qs(form.decode("utf-8", "replace"), max_num_fields=10)
    except ValueError:
        return ""
    return fields.get("token", [""])[0].strip()


def _cookie(value: str, max_age_s: int, *, is_secure: bool) -> Cookie:
    return Cookie(
        COOKIE,
        value,
        max_age_s,
        domain="",
        path=_PATH,
        is_secure=is_secure,
        is_http_only=True,
        same_site="Strict",
    )
