"""How a request says that it belongs to a session, and that nobody behind the door sees it."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sgtm.messages import NO_REQUEST, IncomingRequest
from sgtm.preview.marks import Mark, is_marked, marks_of, without_marks


def request(query: bytes = b"", *headers: tuple[bytes, bytes]) -> IncomingRequest:
    return replace(NO_REQUEST, query=query, headers=headers)


# SPEC: requirements R222 (header), R223 (cookie, parameter), R352 (three ways)


def test_a_header_a_parameter_and_a_cookie_each_name_a_session():
    assert marks_of(request(b"", (b"x-gtm-server-preview", b"abc"))) == [Mark("abc", "header")]
    assert marks_of(request(b"v=2&sgtm_preview=abc&en=x")) == [Mark("abc", "parameter")]
    assert marks_of(request(b"", (b"cookie", b"a=1; sgtm_preview_session=abc"))) == [Mark("abc", "cookie")]


def test_what_was_said_most_expressly_comes_first_and_few_are_looked_at():
    found = marks_of(
        request(
            b"sgtm_preview=b&sgtm_preview=c&sgtm_preview=d&sgtm_preview=e",
            (b"cookie", b"sgtm_preview_session=f"),
            (b"x-gtm-server-preview", b"a"),
        )
    )
    assert [mark.token for mark in found] == ["a", "b", "c", "d"]


def test_without_its_marks_a_request_is_what_its_sender_would_have_sent():
    marked = request(
        b"v=2&sgtm_preview=abc&en=x",
        (b"host", b"a.example"),
        (b"x-gtm-server-preview", b"abc"),
        (b"cookie", b"a=1; sgtm_preview_session=abc; b=2"),
        (b"cookie", b"sgtm_preview_session=abc"),
    )
    assert without_marks(marked) == request(b"v=2&en=x", (b"host", b"a.example"), (b"cookie", b"a=1; b=2"))


def test_names_that_only_look_alike_stay():
    alike = request(
        b"xsgtm_preview=1&sgtm_preview2=2", (b"cookie", b"my_sgtm_preview_session=1"), (b"x-gtm", b"2")
    )
    assert marks_of(alike) == []
    assert without_marks(alike) == alike


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_no_bytes_are_too_odd_and_a_request_without_marks_has_none(query: bytes, cookie: bytes) -> None:
    bare = without_marks(
        request(query + b"&sgtm_preview=abc", (b"cookie", cookie + b"; sgtm_preview_session=abc"))
    )
    assert marks_of(bare) == []
    assert not is_marked(bare) or b"sgtm_preview" in query + cookie
