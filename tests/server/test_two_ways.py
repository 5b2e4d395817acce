"""With and without the edge, the same bytes are the same requests and the same answers.

SPEC: reliability 2.2 (ten classes; seeds, 20,000 mutants, cut everywhere).
"""

import pytest
from http_corpus import OTHER, PLAIN, SEEDS, mutants
from two_ways import Outcome, Way, compare, disagreement, h11_requests, in_pieces, other_opinion

MUTANTS = 20_000


@pytest.mark.parametrize("name", ["plain", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"])
async def test_the_classes_are_read_alike(name: str) -> None:
    texts = [text for key, text in (PLAIN | OTHER).items() if key.split()[0] == name]
    assert len(texts) > 5
    assert await compare([text] for text in texts) == len(texts)


async def test_every_seed_is_read_alike_wherever_it_is_cut() -> None:
    small = [text for text in SEEDS if len(text) < 400]
    texts = ([text[:cut], text[cut:]] for text in small for cut in range(1, len(text), 7))
    assert await compare(texts) > 2_000
    assert await compare([text[at : at + 1] for at in range(len(text))] for text in small[::12]) > 10


@pytest.mark.timeout(300)
async def test_mutants_are_read_alike() -> None:
    assert await compare(in_pieces(mutants(MUTANTS, seed=7), seed=7)) == MUTANTS


async def test_what_is_plain_is_answered_by_the_edge_and_nothing_else() -> None:
    async with Way(edge="on") as way:
        for name, text in (PLAIN | OTHER).items():
            lent = await way.lent(text)
            if name in OTHER:
                assert lent or b"HTTP/1.1\r\nHost: shop.example\r\n\r\n" in text, name
        assert not await way.lent(PLAIN["plain 0"] * 3)


def _outcome(*bodies: bytes, status: int = 200, is_closed: bool = False) -> Outcome:
    requests = [("GET", "/", b"", ((b"host", b"a"),), "a", body) for body in bodies]
    return Outcome(requests, [(status, (), b"") for _ in bodies], is_closed)


@pytest.mark.parametrize(
    ("on", "off"),
    [
        (_outcome(b"a"), _outcome(b"b")),
        (_outcome(b"a", b"b"), _outcome(b"a")),
        (_outcome(b"a"), _outcome(b"a", b"b")),
        (_outcome(b"a", status=204), _outcome(b"a")),
        (_outcome(b"a"), _outcome(b"a", is_closed=True)),
        (_outcome(), _outcome(b"a")),
    ],
)
def test_the_judge_sees_what_differs(on: Outcome, off: Outcome) -> None:
    assert disagreement(on, off)
    assert not disagreement(on, on)


def test_the_third_opinion_is_heard() -> None:
    text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert [body for _, body in h11_requests(text * 3)] == [b"", b"", b""]
    assert not other_opinion(_outcome(b""), text)
    assert other_opinion(_outcome(b"smuggled"), text)
