"""Hash: five digests of one person by each of our SHA-256 variants and by hashlib.

`python -m benchmarks.hash [rounds]`. The second table is the whole way: five fields as a form gives them,
normalised by Meta's rules and hashed, beside plain Python with `re` and hashlib.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from benchmarks.interleaved import Contender, compare, rounds_asked
from sgtm._fast.identifiers import set_variant, sha256_hex_many, variant, variants
from sgtm.identifiers import hash_person

T = TypeVar("T")
Person = dict[str, list[str]]

in_one_call: Callable[[list[str]], list[str]] = sha256_hex_many  # type: ignore[assignment]  # it takes bytes, too

PERSON = {
    "em": [" John_Smith@gmail.com"],
    "ph": ["+1 (650) 555-1212"],
    "fn": ["Mary Jane"],
    "ln": ["O'Connor"],
    "ct": ["San Francisco"],
}
NORMAL = ["john_smith@gmail.com", "16505551212", "maryjane", "oconnor", "sanfrancisco"]
COUNT = 4_000

_IS_DIGEST = re.compile("[0-9a-f]{64}|[0-9a-f]{32}").fullmatch


def by_hashlib(texts: list[str]) -> list[str]:
    """What anybody would write first."""
    return [hashlib.sha256(text.encode()).hexdigest() for text in texts]


def plain_person(person: Person) -> list[str]:
    """The rules of the five fields in plain Python, without tables and odd input."""
    email = person["em"][0].strip().lower()
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@.\s]+", email):
        return []
    texts = [email, re.sub(r"[^0-9]", "", person["ph"][0]).lstrip("0")]
    texts += [re.sub(r"[\s!-/:-@\[-`{-~]", "", person[field][0].lower()) for field in ("fn", "ln", "ct")]
    return [text if _IS_DIGEST(text) else hashlib.sha256(text.encode()).hexdigest() for text in texts]


def our_person(person: Person) -> list[str]:
    """The same as the tags do it."""
    return [digest for digests in hash_person("meta", person).values() for digest in digests]


def variants_of(name: str, work: Callable[[T], list[str]]) -> list[Contender[T]]:
    """`work` once with each variant."""
    return [Contender(f"{name}, {one}", work, partial(set_variant, one)) for one in variants()]


def checks(contenders: list[Contender[T]], sample: T) -> Iterator[bool]:
    """Whether each contender, with its own variant, gives the digests of hashlib."""
    for contender in contenders:
        contender.before()
        yield contender.work(sample) == by_hashlib(NORMAL)


def main() -> None:
    """Both tables."""
    chosen, rounds = variant(), rounds_asked(15)
    digests = [Contender("hashlib", by_hashlib), *variants_of("ours", in_one_call)]
    title = f"five digests (chosen here: {chosen})"
    compare(title, digests, [NORMAL] * COUNT, list(checks(digests, NORMAL)), rounds, "person")
    people = [Contender("re and hashlib", plain_person), *variants_of("hash_person", our_person)]
    title = "five fields, raw to digest"
    compare(title, people, [PERSON] * COUNT, list(checks(people, PERSON)), rounds, "person")
    set_variant(chosen)


if __name__ == "__main__":
    main()
