"""Keys: what stands in the store is found by a digest of a key's name and value, never by the value.

A digest keeps a list of customers from being read off the store. It does not keep order numbers from being
guessed by whoever has the file, so that is its owner's alone (0600).
"""

import hashlib

SIZE = 16
MAX_VALUE = 512
"""Characters of a value that count: what is longer is nobody's key."""


def key_of(name: str, value: str) -> bytes | None:
    """Digest under which this value is found; None for a value that is too long."""
    if len(value) > MAX_VALUE:
        return None
    said = f"{name}\0{value}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(said, digest_size=SIZE, person=b"sgtm context").digest()


def pair_key(rule: str, event_name: str, key: bytes) -> bytes:
    """Where the two halves of an event of this name meet, by the rule and its key."""
    said = f"{rule}\0{event_name}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(key + said, digest_size=SIZE, person=b"sgtm hold").digest()


def bucket_of(stream: str) -> str:
    """Of a broker: the bucket that belongs to a stream of records."""
    return f"{stream}-context"
