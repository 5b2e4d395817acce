"""For which share of the events a tag fires: SPEC requirements R98."""

import hashlib

import pytest
from cases import make_request
from msgspec import ValidationError, convert
from msgspec.structs import replace

from sgtm.container.model import Sample
from sgtm.container.sample import sampled
from sgtm.event import make_event

REQUEST = make_request({"target": "/c"})
VISITORS = [f"{n}.1764000000" for n in range(4000)]


def holds(sample, data, request=REQUEST):
    return sampled(sample).holds(make_event(data, request, "c", 0))


def chosen(sample):
    return {visitor for visitor in VISITORS if holds(sample, {"client_id": visitor})}


@pytest.mark.parametrize("percent", [0.5, 10, 50, 90])
def test_about_so_many_of_a_hundred_visitors_are_in_the_sample(percent):
    # the numbers are fixed by the digests; the bounds are wide
    expected = len(VISITORS) * percent / 100
    assert 0.8 * expected - 10 < len(chosen(Sample(percent))) < 1.2 * expected + 10


def test_the_first_eight_bytes_of_the_digest_decide():
    digest = hashlib.blake2b(b"7.1", digest_size=8).digest()
    share = int.from_bytes(digest, "big") / 2**64 * 100
    assert holds(Sample(share + 0.001), {"client_id": "7.1"})
    assert not holds(Sample(share - 0.001), {"client_id": "7.1"})


def test_a_larger_sample_takes_in_a_smaller_one():
    assert chosen(Sample(5)) < chosen(Sample(10)) < chosen(Sample(60))


def test_a_salt_draws_another_sample():
    plain, salted = chosen(Sample(50)), chosen(Sample(50, salt="b"))
    assert salted == chosen(Sample(50, salt="b"))
    assert 0.3 < len(plain & salted) / len(plain) < 0.7, "as independent as two throws of a coin"


def test_a_value_is_the_same_wherever_it_stands_and_whether_text_or_number():
    by_user = {holds(Sample(50, by="user.id"), {"user": {"id": n}}) for n in range(20)}
    assert by_user == {True, False}
    for n in range(20):
        by_client = holds(Sample(50), {"client_id": str(n)})
        assert by_client == holds(Sample(50, by="user.id"), {"user": {"id": n}})


@pytest.mark.parametrize("data", [{}, {"client_id": ""}, {"client_id": ["a"]}, {"client_id": None}])
def test_without_the_value_the_chance_of_the_request_decides(data):
    requests = [replace(REQUEST, seed=seed) for seed in range(400)]
    decided = [holds(Sample(25), data, request) for request in requests]
    assert 60 < sum(decided) < 140
    assert decided == [holds(Sample(25), data, request) for request in requests], "and its record keeps it"


def test_a_text_that_is_no_utf_8_is_a_value_like_any_other():
    assert {holds(Sample(50), {"client_id": f"\ud800{n}"}) for n in range(20)} == {True, False}


def test_everything_is_in_a_sample_of_a_hundred():
    assert sampled(Sample(100)) is sampled(None) is None


@pytest.mark.parametrize("written", [{"percent": 0}, {"percent": 101}, {}, {"percent": 5, "salt": "s" * 17}])
def test_a_sample_that_makes_no_sense_is_refused(written):
    with pytest.raises(ValidationError):
        convert(written, Sample)
