"""RS256: the one signature that Google asks of a service account. Needs `pip install 'sgtm[google]'`.

SPEC: RFC 7518, 3.3.
"""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def sign(message: bytes, private_key: str) -> bytes:
    """RSASSA-PKCS1-v1_5 over SHA-256 with a key in PEM. Raises ValueError, which says nothing of it."""
    try:
        # PERF: proving that its numbers are prime takes 36 ms, in which the worker does nothing else. It
        # is the operator's own key; with wrong numbers it makes signatures that Google refuses.
        key = load_pem_private_key(private_key.encode(), None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("not an RSA key in PEM")
    return key.sign(message, PKCS1v15(), SHA256())
