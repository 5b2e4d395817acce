from hypothesis import given
from hypothesis import strategies as st

from sgtm.repeats import Repeats


def test_a_key_is_a_repeat_from_the_second_time_on():
    repeats = Repeats()
    assert [repeats.is_repeat(key) for key in ("a", "b", "a", "a", "b")] == [False, False, True, True, True]


@given(st.lists(st.text(max_size=2)), st.integers(1, 5))
def test_the_memory_is_bounded_and_forgets_the_oldest(keys, size):
    repeats, latest = Repeats(size), []
    for key in keys:
        assert repeats.is_repeat(key) == (key in latest)
        if key not in latest:
            latest = [*latest, key][-size:]
    assert len(repeats._seen) <= size
