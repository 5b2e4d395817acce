"""How a tag proves who it is: parameters for every tag that leaves the choice to its user, what
`check` says about them, and the CredentialUse that they make. And whether a sender has proved who he is.

SPEC: requirements R77, R105, R147; reliability 5.5; RFC 6749, 2.3.1, 4.4, 6; RFC 7523.
"""

import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from sgtm.component import Secret
from sgtm.errors import Problem, SgtmError
from sgtm.messages import (
    ClientCredentials,
    CredentialUse,
    GoogleServiceAccount,
    MadeBy,
    OAuth2Refresh,
    Proof,
    may_carry_secrets,
)

_NEEDS: dict[str, tuple[str, ...]] = {
    "none": (),
    "bearer": ("secret",),
    "basic": ("secret",),
    "header": ("secret", "auth_key"),
    "query": ("secret", "auth_key"),
    "oauth2_refresh": ("token_url", "client_id", "client_secret", "refresh_token"),
    "client_credentials": ("token_url", "client_id", "client_secret"),
    "google_service_account": ("service_account", "scope"),
}
_TAKES = {"oauth2_refresh": ("scope", "client_auth"), "client_credentials": ("scope", "client_auth")}
_SECRETS = ("secret", "client_secret", "refresh_token", "service_account")
_FIXED = ("token_url", "client_id", "scope")


class AuthParameters(Struct, frozen=True, kw_only=True):
    """Which credential is shown, and how; secrets are names."""

    auth: Annotated[
        Literal[
            "none",
            "bearer",
            "basic",
            "header",
            "query",
            "oauth2_refresh",
            "client_credentials",
            "google_service_account",
        ],
        Meta(
            description="How the secret is shown: `Authorization: Bearer` or `Basic` (the secret is the "
            "base64 of `user:password`), or a header or query parameter called `auth_key`. With "
            "`oauth2_refresh`, `client_credentials` and `google_service_account` an access token is got, "
            "renewed in time, and shown as `Authorization: Bearer`."
        ),
    ] = "none"
    secret: Annotated[
        Secret | None, Meta(description="The token, key or password, as `${ENV}` or a file.")
    ] = None
    auth_key: Annotated[
        str,
        Meta(
            pattern="^[!#$%&'*+.^_`|~0-9A-Za-z-]*$",
            description="Name of the header or query parameter that takes the secret.",
        ),
    ] = ""
    token_url: Annotated[
        str,
        Meta(
            description="Where `oauth2_refresh` and `client_credentials` get access tokens.",
            examples=["https://login.example/oauth2/token"],
        ),
    ] = ""
    client_id: Annotated[str, Meta(description="Id of the client that the vendor has registered.")] = ""
    client_secret: Annotated[Secret | None, Meta(description="Secret of that client.")] = None
    client_auth: Annotated[
        Literal["body", "basic"],
        Meta(description="How the client proves itself: in the form, or as HTTP Basic (Reddit)."),
    ] = "body"
    refresh_token: Annotated[
        Secret | None, Meta(description="What `oauth2_refresh` gets access tokens with.")
    ] = None
    scope: Annotated[
        str, Meta(description="Rights of the access token, separated by spaces; empty: the vendor's default.")
    ] = ""
    service_account: Annotated[
        Secret | None,
        Meta(description="Key file of a Google service account: the whole JSON, best as a file."),
    ] = None


def credential_use(parameters: AuthParameters) -> CredentialUse | None:
    """The credential of these parameters; None without one, or where `check` misses something."""
    made_by = _made_by(parameters)
    if made_by is not None:
        return CredentialUse(made_by.secrets[-1], "header", "Authorization", "Bearer ", made_by)
    match parameters:
        case AuthParameters(auth="bearer", secret=Secret(name)):
            return CredentialUse(name, "header", "Authorization", "Bearer ")
        case AuthParameters(auth="basic", secret=Secret(name)):
            return CredentialUse(name, "header", "Authorization", "Basic ")
        case AuthParameters(auth="header" | "query" as place, secret=Secret(name)):
            return CredentialUse(name, place, parameters.auth_key)
    return None


def _made_by(parameters: AuthParameters) -> MadeBy | None:
    match parameters:
        case AuthParameters(
            auth="oauth2_refresh", client_secret=Secret(client_secret), refresh_token=Secret(refresh_token)
        ):
            return OAuth2Refresh(
                parameters.token_url,
                parameters.client_id,
                client_secret,
                refresh_token,
                parameters.scope,
                parameters.client_auth,
            )
        case AuthParameters(auth="client_credentials", client_secret=Secret(client_secret)):
            return ClientCredentials(
                parameters.token_url,
                parameters.client_id,
                client_secret,
                parameters.scope,
                parameters.client_auth,
            )
        case AuthParameters(auth="google_service_account", service_account=Secret(service_account)):
            return GoogleServiceAccount(service_account, parameters.scope)
    return None


# -- check -------------------------------------------------------------------------------------


def check_auth(parameters: dict[str, Any], where: str) -> list[Problem]:
    """What is missing for the chosen `auth`, what it does not use, and what is unsafe."""
    auth = parameters.get("auth", "none")
    if not isinstance(auth, str) or auth not in _NEEDS:
        return []
    problems = [*_missing(auth, parameters, where), *_superfluous(auth, parameters, where)]
    problems += [
        Problem("error", "comes from a variable", f"{where}.{name}", "write the value itself")
        for name in _FIXED
        if "{{" in str(parameters.get(name, ""))
    ]
    token_url = parameters.get("token_url")
    if token_url and "{{" not in str(token_url) and not may_carry_secrets(str(token_url)):
        mend = "write https://: secrets are posted there"
        problems.append(Problem("error", "is not an https address", f"{where}.token_url", mend))
    if auth == "query":
        mend = "use a header if the endpoint takes one: URLs end up in logs on the way"
        problems.append(Problem("warning", "shows the secret in the URL", f"{where}.auth", mend))
    if auth == "google_service_account" and find_spec("cryptography") is None:
        mend = "pip install 'sgtm[google]'"
        problems.append(Problem("error", "needs the package `cryptography`", f"{where}.auth", mend))
    return problems


def _missing(auth: str, parameters: dict[str, Any], where: str) -> list[Problem]:
    return [
        Problem(
            "error",
            f"auth {auth!r} has no {name}",
            where,
            f"write `{name}: ${{NAME}}`" if name in _SECRETS else f"write `{name}: ...`",
        )
        for name in _NEEDS[auth]
        if not parameters.get(name)
    ]


def _superfluous(auth: str, parameters: dict[str, Any], where: str) -> list[Problem]:
    used = _NEEDS[auth] + _TAKES.get(auth, ())
    mend = "say in `auth` how it is shown" if auth == "none" else f"remove it: auth {auth!r} does not use it"
    return [
        Problem("error", "is not used", f"{where}.{name}", mend)
        for name in AuthParameters.__struct_fields__
        if name not in ("auth", *used) and parameters.get(name)
    ]


# -- whether a sender knows a secret -----------------------------------------------------------


def is_known(secret: str, digests: Iterable[str]) -> bool:
    """Whether this is one of the secrets of which SHA-256 (hex) is kept; each is compared."""
    digest = hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
    matches = [hmac.compare_digest(digest, one.lower()) for one in digests]
    return any(matches)


def is_proven(proofs: Sequence[Proof], value_of: Callable[[str], str]) -> bool | None:
    """Whether every proof holds; None where one names no secret that has a value.

    Each secret is tried with each thing shown, at the same length and to the end: how long it takes
    tells nothing of the secret, nor of how much of a signature was right (SPEC: reliability 5.5)."""
    found = [_holds(proof, [*_keys(proof, value_of)]) for proof in proofs]
    return None if None in found else all(found)


def digest_of(proof: Proof, key: bytes) -> bytes:
    """What has to be shown by whoever knows this secret."""
    match proof.method:
        case "secret":
            return hashlib.sha256(key).digest()
        case "sha256":
            return hashlib.sha256(key + proof.text).digest()
        case method:
            return hmac.digest(key, proof.text, method.removeprefix("hmac_"))


def key_of(proof: Proof, secret: str) -> bytes:
    """The bytes that a secret as written stands for. Raises ValueError where it is not base64."""
    if not proof.is_base64:
        return secret.encode()
    key = binascii.a2b_base64(secret.removeprefix("whsec_"), strict_mode=True)
    if not key:
        raise ValueError("an empty key, which anybody knows")
    return key


def _keys(proof: Proof, value_of: Callable[[str], str]) -> Iterable[bytes]:
    for name in proof.secrets:
        try:
            yield key_of(proof, value_of(name))
        except (SgtmError, ValueError):
            continue


def _holds(proof: Proof, keys: list[bytes]) -> bool | None:
    if not keys:
        return None
    shown = proof.shown or (b"",)
    if proof.method == "secret":
        shown = tuple(hashlib.sha256(one).digest() for one in shown)
    expected = [digest_of(proof, key) for key in keys]
    matches = [_is_same(one, other) for one in expected for other in shown]
    return any(matches)


def _is_same(expected: bytes, shown: bytes) -> bool:
    """Compared at one length, whatever was shown."""
    is_of_that_length = len(shown) == len(expected)
    return hmac.compare_digest(expected, shown if is_of_that_length else bytes(len(expected))) and (
        is_of_that_length
    )
