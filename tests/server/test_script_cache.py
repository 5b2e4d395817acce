"""Which copies have to go when there are too many."""

from sgtm.server.script_cache import CopiesInMemory, Copy


def copy(key: str, size: int = 10) -> Copy:
    return Copy(key, b"x" * size, b"", "text/javascript", "", 0.0)


def test_what_was_asked_for_once_goes_before_what_was_asked_for_again() -> None:
    copies = CopiesInMemory(10_000, max_copies=3)
    copies.put(copy("wanted"))
    copies.get("wanted")
    gone = [key for number in range(5) for key in copies.put(copy(str(number)))]
    assert gone == ["0", "1", "2"]
    assert copies.get("wanted") is not None


def test_a_new_copy_has_a_place_though_all_others_were_asked_for_again() -> None:
    copies = CopiesInMemory(10_000, max_copies=3)
    for key in "abc":
        copies.put(copy(key))
        copies.get(key)
    copies.get("a")
    assert copies.put(copy("new")) == ["b"]
    assert copies.get("new") is not None


def test_bytes_are_counted_over_replacement_and_eviction() -> None:
    copies = CopiesInMemory(1_000)
    for size in (100, 400, 50):
        copies.put(copy("a", size))
    assert copies.size_bytes == 51
    assert copies.put(copy("b", 948)) == []
    assert copies.put(copy("c", 900)) == ["a", "b"]
    assert copies.size_bytes == 901


def test_a_copy_that_is_larger_than_everything_allowed_pushes_nothing_out() -> None:
    copies = CopiesInMemory(1_000)
    copies.put(copy("a"))
    assert copies.put(copy("huge", 1_000)) == ["huge"]
    assert (len(copies), copies.size_bytes) == (1, 11)
