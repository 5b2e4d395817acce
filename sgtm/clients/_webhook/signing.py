"""Signing: what a sender does, for samples (`sgtm send webhook`)."""

import binascii
from collections.abc import Callable
from urllib.parse import urlencode

from msgspec.structs import replace

from sgtm.authentication import digest_of, key_of
from sgtm.clients._webhook.senders import SharedSecret, Signature, proof_of
from sgtm.messages import IncomingRequest

ValueOf = Callable[[str], str]
"""The value of a secret by its name. Raises SgtmError."""


def signed(
    request: IncomingRequest, signature: Signature | None, shared: SharedSecret | None, value_of: ValueOf
) -> IncomingRequest:
    """The request as its sender would send it at the moment of its receipt, with the first of each secret.
    Raises what `value_of` raises, and ValueError where a secret is not written as `key_encoding` says."""
    headers: dict[str, str] = {}
    query = request.query
    if signature is not None:
        headers |= signature_headers(request, signature, value_of(signature.secrets[0].name))
    if shared is not None:
        secret = shared.prefix + value_of(shared.secrets[0].name)
        if shared.header:
            headers[shared.header] = secret
        else:
            own = urlencode({shared.query_parameter: secret}).encode()
            query = query + b"&" + own if query else own
    lower = {name.lower().encode(): value.encode() for name, value in headers.items()}
    kept = tuple(pair for pair in request.headers if pair[0] not in lower)
    return replace(request, query=query, headers=(*kept, *lower.items()))


def signature_headers(request: IncomingRequest, signature: Signature, secret: str) -> dict[str, str]:
    """The headers of a signature."""
    scale = 1_000 if signature.timestamp_unit == "ms" else 1
    timestamp = str(request.received_micros * scale // 1_000_000)
    proof = proof_of(request, signature, (), timestamp)
    digest = digest_of(proof, key_of(proof, secret))
    if signature.encoding == "hex":
        written = digest.hex()
    else:
        written = binascii.b2a_base64(digest, newline=False).decode()
    parts = [signature.prefix + written]
    if signature.timestamp_prefix:
        parts.insert(0, signature.timestamp_prefix + timestamp)
    headers = {signature.header: signature.separator.join(parts)}
    if signature.timestamp_header:
        headers[signature.timestamp_header] = timestamp
    return headers
