"""Hash: five digests of one person by each of our SHA-256 variants and by hashlib, interleaved.

`python -m benchmarks.hash [rounds]` prints the median time for five values, its ratio to hashlib, and
whether the digests are right. Below stand the same five as a whole: normalised by Meta's rules and hashed,
ours beside plain Python with `re` and hashlib. Ratios hold between machines, times do not.
"""

import gc
import hashlib
import re
import statistics
import sys
import time
from collections.abc import Callable

from sgtm._fast.identifiers import set_variant, sha256_hex_many, variant, variants
from sgtm.identifiers import hash_person

VALUES = ["john_smith@gmail.com", "16505551212", "maryjane", "oconnor", "sanfrancisco"]
RAW = {
    "em": [" John_Smith@gmail.com"],
    "ph": ["+1 (650) 555-1212"],
    "fn": ["Mary Jane"],
    "ln": ["O'Connor"],
    "ct": ["San Francisco"],
}
PASSES = 4_000


def by_hashlib() -> list[str]:
    """What anybody would write first."""
    return [hashlib.sha256(value.encode()).hexdigest() for value in VALUES]


def ours() -> list[str]:
    """The same in one call."""
    return sha256_hex_many(VALUES)


def plain_person() -> list[str]:
    """The rules of the five fields in plain Python, without tables and odd input."""
    email = RAW["em"][0].strip().lower()
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@.\s]+", email):
        return []
    texts = [email, re.sub(r"[^0-9]", "", RAW["ph"][0]).lstrip("0")]
    texts += [re.sub(r"[\s!-/:-@\[-`{-~]", "", RAW[field][0].lower()) for field in ("fn", "ln", "ct")]
    is_digest = re.compile("[0-9a-f]{64}|[0-9a-f]{32}").fullmatch
    return [text if is_digest(text) else hashlib.sha256(text.encode()).hexdigest() for text in texts]


def our_person() -> list[str]:
    """The same as the tags do it."""
    return [digest for digests in hash_person("meta", RAW).values() for digest in digests]


def time_once(digests: Callable[[], list[str]]) -> float:
    """Microseconds for five digests."""
    gc.collect()
    start = time.perf_counter()
    for _ in range(PASSES):
        digests()
    return (time.perf_counter() - start) / PASSES * 1e6


def compare(contenders: dict[str, tuple[str, Callable[[], list[str]]]], rounds: int) -> None:
    """Print a table; `contenders`: name -> (SHA-256 variant, function). The first one is the measure."""
    chosen = variant()
    right = by_hashlib()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    is_right = {}
    for _ in range(rounds):
        for name, (variant_name, digests) in contenders.items():
            set_variant(variant_name)
            times[name].append(time_once(digests))
            is_right[name] = digests() == right
    set_variant(chosen)
    first = statistics.median(next(iter(times.values())))
    for name, taken in times.items():
        median = statistics.median(taken)
        print(f"  {name:22} {median:7.2f} us   {median / first:5.2f}   correct: {is_right[name]}")
    if not all(is_right.values()):
        sys.exit("a digest is wrong")


def main(rounds: int = 15) -> None:
    """Both tables."""
    print(f"five digests (chosen here: {variant()})")
    compare({"hashlib": (variant(), by_hashlib)} | {name: (name, ours) for name in variants()}, rounds)
    print("five fields, raw to digest")
    compare(
        {"re and hashlib": (variant(), plain_person)}
        | {f"hash_person, {name}": (name, our_person) for name in variants()},
        rounds,
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
