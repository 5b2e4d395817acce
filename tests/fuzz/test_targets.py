"""The short form of `make fuzz`: seeds, faults of the past, and some mutants of both."""

import pytest
from byte_mutants import byte_mutants
from fuzz.targets import TARGETS

MUTANTS = {"export": 250, "container": 120, "hit": 1_000, "event": 1_000, "script": 2_500, "template": 3_000}
"""Of the slower ones."""
NAMES = [name for name in TARGETS if name != "listener"]
"""The listener's seeds and mutants are those of tests/server/test_two_ways.py."""


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_stands_what_strangers_send(name: str) -> None:
    # SPEC: reliability 2.3
    target = TARGETS[name]
    corpus = target.corpus()
    for data in (*corpus, *byte_mutants(corpus, target.words, MUTANTS.get(name, 8_000), seed=11)):
        try:
            target.check(data)
        except Exception as error:
            raise AssertionError(f"{name} on {data!r}") from error


def test_a_reader_that_says_something_else_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    many = b"a\0" + b"a=1;" * 60
    TARGETS["cookie"].check(many)
    monkeypatch.setattr("reference.cookies.MAX_VALUES", 3)
    with pytest.raises(AssertionError):
        TARGETS["cookie"].check(many)
