import pytest

from sgtm.preview.sessions import MAX_SESSIONS, Sessions, TooManySessions, digest_of


def test_a_token_is_known_by_its_digest_only_and_no_two_are_alike():
    sessions = Sessions()
    first, token = sessions.open(0, 10.0, "published", sends=True)
    second, other = sessions.open(0, 10.0, "draft", sends=False)
    assert len({first.id, second.id, token, other, first.digest, second.digest}) == 6
    assert len(token) >= 32  # 192 bits
    assert first.digest == digest_of(token)
    assert token not in repr(first)
    assert (second.container, second.sends) == ("draft", False)


def test_a_session_is_over_when_its_time_is():
    sessions = Sessions()
    session, _ = sessions.open(1_000_000, 10.0, "published", sends=True)
    assert sessions.get(session.id, 10_999_999) == session
    assert sessions.get(session.id, 11_000_000) is None
    assert sessions.close(session.id)
    assert not sessions.close(session.id)


def test_there_are_only_so_many():
    sessions = Sessions()
    for _ in range(MAX_SESSIONS):
        sessions.open(0, 10.0, "published", sends=True)
    with pytest.raises(TooManySessions):
        sessions.open(0, 10.0, "published", sends=True)
