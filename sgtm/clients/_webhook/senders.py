"""Who has sent a webhook: signatures, shared secrets, addresses.

A signature is checked over the body as it came, before anything of it is read; the algorithm is the one
that is configured, whatever a header says (SPEC: reliability 5.5; requirements R77, R79).
"""

import binascii
import ipaddress
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sgtm.component import Secret
from sgtm.event import to_number
from sgtm.messages import IncomingRequest, Proof
from sgtm.protocols.query import read_query

MAX_SHOWN = 8
"""Signatures of one request that are looked at; two are enough while a secret is changed."""
PLACEHOLDERS = ("body", "timestamp", "id", "method", "url", "path")
_PLACEHOLDER = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")
HeaderName = Annotated[str, Meta(pattern="^[!#$%&'*+.^_`|~0-9A-Za-z-]*$")]
Secrets = Annotated[
    tuple[Secret, ...],
    Meta(
        min_length=1,
        description="The secrets that count, each as `${ENV}` or a file: two while one replaces the other.",
    ),
]


class Signature(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the sender signs."""

    secrets: Secrets
    header: Annotated[
        HeaderName,
        Meta(min_length=1, description="Header with the signature.", examples=["X-Hub-Signature-256"]),
    ]
    algorithm: Annotated[
        Literal["hmac_sha256", "hmac_sha512", "hmac_sha1", "sha256"],
        Meta(
            description="`sha256` is the hash of the secret with the signed text behind it (HubSpot's v1 and "
            "v2); `hmac_sha1` only for senders that have nothing better."
        ),
    ] = "hmac_sha256"
    encoding: Annotated[Literal["hex", "base64"], Meta(description="How the signature is written.")] = "hex"
    prefix: Annotated[
        str, Meta(description="What stands before the signature, as `sha256=`; other parts are passed over.")
    ] = ""
    separator: Annotated[
        str, Meta(description="What stands between the parts, where the header has several, as `,`.")
    ] = ""
    signed_text: Annotated[
        str,
        Meta(
            description="What is signed: `{body}` and around it, as they come, `{timestamp}`, `{id}`, "
            "`{method}`, `{url}` (as the sender calls it), `{path}` (with its query).",
            examples=["{timestamp}.{body}"],
        ),
    ] = "{body}"
    timestamp_header: Annotated[HeaderName, Meta(description="Header with the time of signing.")] = ""
    timestamp_prefix: Annotated[
        str, Meta(description="Or what stands before it in a part of the signature's header, as `t=`.")
    ] = ""
    timestamp_unit: Annotated[
        Literal["s", "ms"], Meta(description="Whether it is in seconds or milliseconds.")
    ] = "s"
    tolerance_s: Annotated[
        int,
        Meta(ge=1, le=86_400, description="How far the time of signing may be from ours, in seconds."),
    ] = 300
    id_header: Annotated[HeaderName, Meta(description="Header with what `{id}` stands for.")] = ""
    key_encoding: Annotated[
        Literal["text", "base64"],
        Meta(
            description="`base64`: the key is what the secret (without a `whsec_` before it) decodes to, as "
            "Standard Webhooks have it."
        ),
    ] = "text"
    url: Annotated[
        str,
        Meta(
            description="With `{url}`: the address that the sender calls, where proxies change it; empty: "
            "as the request names it.",
            pattern="^(https?://[!-~]+)?$",
        ),
    ] = ""


class SharedSecret(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A secret that the sender shows as it is, for those that cannot sign."""

    secrets: Secrets
    header: Annotated[HeaderName, Meta(description="Header that holds it.", examples=["X-Token"])] = ""
    query_parameter: Annotated[
        str, Meta(description="Or the query parameter; URLs end up in logs on the way.")
    ] = ""
    prefix: Annotated[str, Meta(description="What stands before it, as `Bearer `.")] = ""

    @property
    def place(self) -> str:
        """Where it stands, as records conceal it."""
        return self.header.lower() or self.query_parameter


class Shown(Struct, frozen=True):
    """What a request shows of a signature."""

    proof: Proof
    flaws: tuple[str, ...]
    """Why it cannot hold, whatever the secret; in words, without what was shown."""


def read_signature(request: IncomingRequest, signature: Signature) -> Shown:
    """The proof in a request. Never raises."""
    header = request.header(signature.header.lower().encode())
    parts = _parts(header or "", signature)
    written = [part.removeprefix(signature.prefix) for part in parts if part.startswith(signature.prefix)]
    shown = tuple(_decoded(text, signature.encoding) for text in written[:MAX_SHOWN])
    timestamp = _timestamp(request, parts, signature)
    flaws = [*_flaws_of_header(header, written, shown, signature)]
    if signature.timestamp_header or signature.timestamp_prefix:
        flaws += _flaws_of_time(timestamp, request.received_micros, signature)
    return Shown(proof_of(request, signature, shown, timestamp), tuple(flaws))


def read_shared_secret(request: IncomingRequest, shared: SharedSecret) -> Shown:
    """The same for a secret that is shown as it is."""
    if shared.header:
        text = request.header(shared.header.lower().encode())
    else:
        text = read_query(request.query).get(shared.query_parameter)
    names = tuple(secret.name for secret in shared.secrets)
    if not text or not text.startswith(shared.prefix):
        return Shown(Proof(names, "secret", ()), ("the secret is missing",))
    return Shown(Proof(names, "secret", (text.removeprefix(shared.prefix).encode(),)), ())


def _parts(header: str, signature: Signature) -> list[str]:
    parts = header.split(signature.separator) if signature.separator else [header]
    return [part.strip() for part in parts]


def _decoded(text: str, encoding: str) -> bytes:
    """The bytes of a signature; none where it is written in another way."""
    try:
        if encoding == "hex":
            return binascii.unhexlify(text)
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return b""


def _timestamp(request: IncomingRequest, parts: list[str], signature: Signature) -> str:
    if signature.timestamp_header:
        return request.header(signature.timestamp_header.lower().encode()) or ""
    prefix = signature.timestamp_prefix
    return next((part.removeprefix(prefix) for part in parts if prefix and part.startswith(prefix)), "")


def proof_of(
    request: IncomingRequest, signature: Signature, shown: tuple[bytes, ...], timestamp: str
) -> Proof:
    """What shows that the sender knows the secret, if these are signatures of the request at that time."""
    return Proof(
        secrets=tuple(secret.name for secret in signature.secrets),
        method=signature.algorithm,
        shown=shown,
        text=_signed_text(request, signature, timestamp),
        is_base64=signature.key_encoding == "base64",
    )


def _signed_text(request: IncomingRequest, signature: Signature, timestamp: str) -> bytes:
    return b"".join(
        piece if isinstance(piece, bytes) else _PIECES[piece[0]](request, signature, timestamp)
        for piece in _pieces(signature.signed_text)
    )


@lru_cache(maxsize=256)
def _pieces(signed_text: str) -> tuple[bytes | tuple[str], ...]:
    """Texts, and names of what stands between them."""
    # split gives text, name, text, ...
    split = _PLACEHOLDER.split(signed_text)
    return tuple(
        (piece,) if index % 2 else piece.encode() for index, piece in enumerate(split) if piece or index % 2
    )


def _target(request: IncomingRequest) -> bytes:
    query = b"?" + request.query if request.query else b""
    return (request.path_prefix + request.path).encode() + query


def _url(request: IncomingRequest, signature: Signature) -> bytes:
    return signature.url.encode() or f"{request.scheme}://{request.host}".encode() + _target(request)


_PIECES: dict[str, Callable[[IncomingRequest, Signature, str], bytes]] = {
    "body": lambda request, signature, timestamp: request.body,
    "timestamp": lambda request, signature, timestamp: timestamp.encode(),
    "id": lambda request, signature, _: (request.header(signature.id_header.lower().encode()) or "").encode(),
    "method": lambda request, signature, timestamp: request.method.encode(),
    "url": lambda request, signature, timestamp: _url(request, signature),
    "path": lambda request, signature, timestamp: _target(request),
}


def _flaws_of_header(
    header: str | None, written: list[str], shown: tuple[bytes, ...], signature: Signature
) -> Iterator[str]:
    if header is None:
        yield f"there is no header {signature.header}"
    elif not written:
        yield f"no part of {signature.header} begins with {signature.prefix!r}"
    elif not any(shown):
        yield f"what {signature.header} holds is not {signature.encoding}"


def _flaws_of_time(timestamp: str, received_micros: int, signature: Signature) -> Iterator[str]:
    number = to_number(timestamp)
    if number is None or not 0 < number < 10**15:
        yield "there is no time of signing" if not timestamp else "the time of signing is no number"
        return
    signed_s = number / (1_000 if signature.timestamp_unit == "ms" else 1)
    apart_s = received_micros / 1_000_000 - signed_s
    if abs(apart_s) > signature.tolerance_s:
        which = "old" if apart_s > 0 else "ahead of this server's clock"
        yield f"it was signed {abs(apart_s):.0f} s {which}; {signature.tolerance_s} s are allowed"


# -- addresses ---------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def networks_of(written: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """The networks, or single addresses. Raises ValueError."""
    return tuple(ipaddress.ip_network(one) for one in written)


def is_among(address: str, written: tuple[str, ...]) -> bool:
    """Whether an address (canonical, of IPv4 or IPv6) is in one of these networks."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks_of(written))
