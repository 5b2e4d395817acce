"""What is said to a token endpoint, and what its answer means. Pure but for the signature.

Of an answer only the access token, its life and (checked against a closed list) the code of an error
are ever used: nothing else of it reaches an error text or a log line.

SPEC: RFC 6749, 2.3.1 client authentication, 4.4 client credentials, 5.1 and 5.2 answers, 6 refresh;
RFC 7523, 2.1 and 3 assertions; Google's page "Using OAuth 2.0 for server to server applications".
"""

import base64
import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any
from urllib.parse import quote_plus, urlencode

import msgspec
from msgspec import Struct

from sgtm.delivery.errors import CredentialMissing, CredentialRefused, TokenUnavailable
from sgtm.messages import (
    ClientCredentials,
    GoogleServiceAccount,
    MadeBy,
    OAuth2Refresh,
    VendorAnswer,
    may_carry_secrets,
)

GOOGLE_TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105
ASSERTION_LIFE_S = 3_600
"""Google accepts an hour at most."""
UNKNOWN_LIFE_S = 300.0
"""For endpoints that do not say how long a token lives; one that dies earlier is renewed at a 401."""
MAX_TOKEN_CHARACTERS = 16_384

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_REFUSALS = {
    "invalid_request": "look at token_url and client_id",
    "invalid_client": "look at client_id, client_secret and client_auth",
    "invalid_grant": "the refresh token or the key has expired or was revoked: write a new one",
    "unauthorized_client": "let the vendor allow this client to get tokens in this way",
    "unsupported_grant_type": "look at token_url, or use another `auth`",
    "invalid_scope": "look at scope",
    "access_denied": "let the vendor give this client its rights again",
}
"""Every code that is ever repeated (SPEC: RFC 6749, 5.2 and 4.1.2.1), and how to mend it."""
_TRANSIENT_STATUSES = frozenset({408, 425, 429})
_VISIBLE = re.compile(r"[!-~]+")

Form = tuple[str, tuple[tuple[str, str], ...], bytes]


class Grant(Struct, frozen=True):
    """What an endpoint gave."""

    token: str
    life_s: float
    refresh_token: str = ""
    """A new one, where the endpoint changes it with each use; empty: the old one goes on."""

    def __repr__(self) -> str:
        return f"Grant(life_s={self.life_s})"


class _KeyFile(Struct):
    client_email: str
    private_key: str
    private_key_id: str = ""
    token_uri: str = GOOGLE_TOKEN_URL

    def __repr__(self) -> str:
        return "_KeyFile()"


class _Answer(Struct):
    access_token: Any = None
    token_type: Any = None
    expires_in: Any = None
    refresh_token: Any = None
    error: Any = None


# -- what is said ------------------------------------------------------------------------------


def form_of(made_by: MadeBy, secrets: Sequence[str], unix_s: int) -> Form:
    """(URL, headers, body) that ask for a token; `secrets` are the values of `made_by.secrets`.

    Raises CredentialMissing (a key file that is none) and CredentialRefused (a URL without TLS)."""
    if isinstance(made_by, GoogleServiceAccount):
        url, fields = _assertion(made_by, secrets[0], unix_s)
        headers: tuple[tuple[str, str], ...] = ()
    else:
        url = made_by.token_url
        headers, fields = _client(made_by, secrets)
    if not may_carry_secrets(url):
        raise CredentialRefused("the token URL is not https", mend="write an https address")
    headers += (("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json"))
    return url, headers, urlencode(fields).encode()


def _client(
    made_by: OAuth2Refresh | ClientCredentials, secrets: Sequence[str]
) -> tuple[tuple[tuple[str, str], ...], dict[str, str]]:
    if isinstance(made_by, OAuth2Refresh):
        fields = {"grant_type": "refresh_token", "refresh_token": secrets[1]}
    else:
        fields = {"grant_type": "client_credentials"}
    if made_by.scope:
        fields["scope"] = made_by.scope
    if made_by.client_auth == "body":
        return (), fields | {"client_id": made_by.client_id, "client_secret": secrets[0]}
    pair = f"{quote_plus(made_by.client_id)}:{quote_plus(secrets[0])}"
    return (("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"),), fields


def _assertion(made_by: GoogleServiceAccount, key_file: str, unix_s: int) -> tuple[str, dict[str, str]]:
    try:
        key = msgspec.json.decode(key_file, type=_KeyFile)
    except (msgspec.MsgspecError, UnicodeError):
        key = None
    if key is None:  # raised out here: what the library says quotes the file
        raise CredentialMissing("is not the key file of a service account", mend="write the JSON file itself")
    header = {"alg": "RS256", "typ": "JWT"}
    if key.private_key_id:
        header["kid"] = key.private_key_id
    claims = {
        "iss": key.client_email,
        "scope": made_by.scope,
        "aud": key.token_uri,
        "iat": unix_s,
        "exp": unix_s + ASSERTION_LIFE_S,
    }
    message = b".".join(_base64url(msgspec.json.encode(part)) for part in (header, claims))
    signature = _base64url(_sign(message, key.private_key))
    return key.token_uri, {"grant_type": _JWT_BEARER, "assertion": (message + b"." + signature).decode()}


def _sign(message: bytes, private_key: str) -> bytes:
    try:
        # Loaded here and not on top: an optional package, and large.
        return bytes(import_module("sgtm.delivery.rs256").sign(message, private_key))
    except ImportError:
        what, mend = "needs the package `cryptography`", "pip install 'sgtm[google]'"
    except ValueError:
        what, mend = "holds no RSA key", "write the JSON file as Google gave it"
    raise CredentialMissing(what, mend=mend)


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


# -- what comes back ---------------------------------------------------------------------------


def read_grant(answer: VendorAnswer) -> Grant:
    """The token in the answer. Raises CredentialRefused or TokenUnavailable."""
    if answer.status >= 500 or answer.status in _TRANSIENT_STATUSES:
        raise TokenUnavailable(f"the token endpoint answers HTTP {answer.status}")
    said = _decoded(answer.body)
    if isinstance(said.error, str) and said.error in _REFUSALS:
        raise CredentialRefused(says(said.error), mend=_REFUSALS[said.error])
    if not 200 <= answer.status < 300:
        mend = "look at the token URL and at the secrets"
        raise CredentialRefused(f"the token endpoint answers HTTP {answer.status}", mend=mend)
    token = said.access_token
    if not isinstance(token, str) or not _is_usable(token):
        raise TokenUnavailable("the token endpoint's answer holds no usable token")
    if not isinstance(said.token_type, str | None) or (said.token_type or "bearer").lower() != "bearer":
        raise TokenUnavailable("the token endpoint's answer holds a token of another type than Bearer")
    renewed = said.refresh_token if isinstance(said.refresh_token, str) else ""
    return Grant(token, _life_s(said.expires_in), renewed)


def says(code: str) -> str:
    """What a refusal with this code says."""
    return f"the token endpoint says {code}"


def _decoded(body: bytes) -> _Answer:
    try:
        return msgspec.json.decode(body, type=_Answer)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _Answer()


def _is_usable(token: str) -> bool:
    return len(token) <= MAX_TOKEN_CHARACTERS and _VISIBLE.fullmatch(token) is not None


def _life_s(said: Any) -> float:
    """Seconds; some endpoints write the number as a text."""
    try:
        return max(0.0, float(said)) if isinstance(said, int | float | str) else UNKNOWN_LIFE_S
    except (ValueError, OverflowError):
        return UNKNOWN_LIFE_S
