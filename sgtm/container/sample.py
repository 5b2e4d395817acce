"""Samples: for which share of the events a tag fires (SPEC: requirements R98).

A digest of the value decides, so every worker, every tag with the same sample and a record that is run again
decide the same, and nothing is remembered.
"""

import hashlib

from msgspec import Struct

from sgtm.container.model import Sample
from sgtm.event import Event

_ALL = 1 << 64


class Sampled(Struct, frozen=True):
    """A sample, ready to be asked."""

    below: int
    """Digests of 64 bits below this one are in the sample: a larger one holds all of a smaller one."""
    key_path: str
    salt: bytes
    """Key of the digest, at most 64 bytes."""
    percent: str
    """As a person writes it."""

    def holds(self, event: Event) -> bool:
        """Whether the event is in the sample, by its value at the key path; by the chance that its request
        was given where that is missing or no text, number or truth value."""
        value = event.text(self.key_path)
        said = event.request.chance("sample") if value is None else value.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(said, digest_size=8, key=self.salt).digest()
        return int.from_bytes(digest, "big") < self.below


def sampled(sample: Sample | None) -> Sampled | None:
    """The sample; None where all events are in it."""
    if sample is None or sample.percent == 100:
        return None
    below = int(sample.percent / 100 * _ALL)
    return Sampled(below, sample.by, sample.salt.encode(), f"{sample.percent:g}")
