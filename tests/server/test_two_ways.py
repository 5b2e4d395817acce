"""With and without the edge, the same bytes are the same requests and the same answers.

SPEC: reliability 2.2 (ten classes; seeds, 20,000 mutants, cut everywhere).
"""

import pytest
from http_corpus import CLASSES, OTHER, PLAIN, SEEDS, mutants, of_class
from http_seeds.writing import get
from two_ways import Outcome, Way, compare, disagreement, h11_requests, in_pieces, other_opinion

MUTANTS = 20_000


@pytest.mark.parametrize("number", CLASSES)
async def test_the_classes_are_read_alike(number: int) -> None:
    texts = of_class(number).values()
    assert len(texts) >= 40
    assert await compare([text] for text in texts) == len(texts)


def test_there_are_600_seeds_and_none_twice() -> None:
    assert len(set(SEEDS)) == len(SEEDS) >= 600


async def test_every_seed_is_read_alike_wherever_it_is_cut() -> None:
    small = [text for text in SEEDS if len(text) < 400]
    texts = ([text[:cut], text[cut:]] for text in small for cut in range(1, len(text), 17))
    assert await compare(texts) > 2_000
    assert await compare([text[at : at + 1] for at in range(len(text))] for text in small[::25]) > 10


@pytest.mark.timeout(300)
async def test_mutants_are_read_alike() -> None:
    assert await compare(in_pieces(mutants(MUTANTS, seed=7), seed=7)) == MUTANTS


async def test_what_is_plain_is_answered_by_the_edge_and_nothing_else() -> None:
    async with Way(edge="on") as way:
        for name, text in (PLAIN | OTHER).items():
            lent = await way.lent(text)
            if name in OTHER:
                assert lent or b"HTTP/1.1\r\nHost: shop.example\r\n\r\n" in text, name
        assert not await way.lent(get() * 3)


@pytest.mark.parametrize("edge", ["on", "off"])
async def test_connect_without_a_target_is_refused_wherever_it_is_cut(edge: str) -> None:
    text = b"CONNECT \nshop.example:443 HTTP/1.1\r\nHost: shop.example\r\n\r\n"
    async with Way(edge=edge) as way:
        for cut in range(1, len(text)):
            assert (await way.outcome([text[:cut], text[cut:]])).is_refusal, cut


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
