"""The value of the FPLC cookie: a visitor's server-managed id, sealed, so that it can be carried from
one of our domains to another in the open.

SPEC: ga4-protocol 10 (ours: authenticated encryption of FPID and time under a configured key), 5.4.

Theory of operation. The construction is SIV (RFC 5297) with HMAC-SHA256 in both places:

    plain = time of sealing (8 bytes, big endian, seconds) || client id (UTF-8)
    iv    = HMAC(mac key, plain), cut to 16 bytes
    token = base64url(iv || plain XOR (HMAC(stream key, iv || 0) || HMAC(stream key, iv || 1) || ...))

Opening decrypts, computes the iv again and compares it in constant time: the iv is the
authentication. It is made from what is sealed and not from chance, because a hit's chance is 64 bits
wide: under a drawn nonce two visitors would share a key stream after some 2^32 hits. Here equal
tokens mean equal id and second, and nothing else can be seen from them.
"""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache

MAX_CLIENT_ID_BYTES = 256
CLOCK_SKEW_S = 300
"""How far into the future the clock of another machine of ours may be."""

_IV_BYTES = 16
_TIME_BYTES = 8
_TOKEN = re.compile(rf"[A-Za-z0-9_-]{{34,{(_IV_BYTES + _TIME_BYTES + MAX_CLIENT_ID_BYTES) * 4 // 3 + 3}}}")


def seal(client_id: str, seconds: int, key: str) -> str:
    """A token of letters, digits, `-` and `_` that only `key` can make and read."""
    mac_key, stream_key = _keys(key)
    plain = seconds.to_bytes(_TIME_BYTES, "big") + client_id.encode()
    iv = _iv(mac_key, plain)
    return urlsafe_b64encode(iv + _mask(stream_key, iv, plain)).rstrip(b"=").decode()


def unseal(token: str, seconds: int, key: str, max_age_s: int) -> str | None:
    """The client id in a token that was sealed under `key` at most `max_age_s` before `seconds`.

    None for everything else, whatever it is. Never raises."""
    if not _TOKEN.fullmatch(token) or len(token) % 4 == 1:
        return None
    sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    iv, masked = sealed[:_IV_BYTES], sealed[_IV_BYTES:]
    mac_key, stream_key = _keys(key)
    plain = _mask(stream_key, iv, masked)
    if not hmac.compare_digest(iv, _iv(mac_key, plain)):
        return None
    age = seconds - int.from_bytes(plain[:_TIME_BYTES], "big")
    if not -CLOCK_SKEW_S <= age <= max_age_s:
        return None
    return plain[_TIME_BYTES:].decode("utf-8", "replace") or None


@lru_cache(maxsize=64)
def _keys(key: str) -> tuple[bytes, bytes]:
    """Two independent keys: the same bytes never serve both purposes."""
    secret = key.encode()
    return hmac.digest(secret, b"sgtm FPLC 1 mac", "sha256"), hmac.digest(
        secret, b"sgtm FPLC 1 stream", "sha256"
    )


def _iv(mac_key: bytes, plain: bytes) -> bytes:
    return hmac.digest(mac_key, plain, "sha256")[:_IV_BYTES]


def _mask(stream_key: bytes, iv: bytes, data: bytes) -> bytes:
    """`data` XOR the key stream of this iv; its own inverse."""
    blocks = range((len(data) + 31) // 32)
    stream = b"".join(hmac.digest(stream_key, iv + block.to_bytes(4, "big"), "sha256") for block in blocks)
    masked = int.from_bytes(data, "big") ^ int.from_bytes(stream[: len(data)], "big")
    return masked.to_bytes(len(data), "big")
