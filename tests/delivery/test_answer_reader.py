import pytest

from sgtm.delivery.answer_reader import MAX_HEAD_BYTES, MAX_HEADERS, MAX_INTERIM, AnswerReader
from sgtm.delivery.errors import BadAnswer
from sgtm.delivery.http_sender import MAX_KEPT_BYTES, MAX_READ_BYTES

# SPEC: reliability 3, rule 8; RFC 9112, 6.3 (how long a body is) and 9.3 (whether a connection persists).
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def read(*chunks, is_for_head=False, reader=None):
    """(status, body, may go on) of one answer; None while it is not complete."""
    reader = reader or AnswerReader()
    reader.begin(is_for_head=is_for_head)
    is_complete = False
    for chunk in chunks:
        assert not is_complete, "complete before its last byte"
        is_complete = reader.feed(chunk)
    if not is_complete and not reader.finish():
        return None
    answer = reader.answer()
    return answer.status, answer.body, reader.may_go_on


SHAPES = {
    "length": (OK, (200, b"ok", True)),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"", True)),
    "no content, length": (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", (204, b"", True)),
    "not modified, length of what is not sent": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
        (304, b"", True),
    ),
    "empty": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", (200, b"", True)),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", (200, b"ok", True)),
    "close": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", (200, b"ok", False)),
    "1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", (200, b"ok", False)),
    "1.0, kept": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        (200, b"ok", True),
    ),
    "chunks": (CHUNKED + b"1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n", (200, b"ok", True)),
    "chunks, trailers": (CHUNKED + b"2\r\nok\r\n0\r\nX: y\r\n\r\n", (200, b"ok", True)),
    "interim": (EARLY + b"HTTP/1.1 100 Continue\r\n\r\n" + OK, (200, b"ok", True)),
    "as many interim as may be": (EARLY * MAX_INTERIM + OK, (200, b"ok", True)),
    "interim, then chunks": (EARLY + CHUNKED + b"2\r\nok\r\n0\r\n\r\n", (200, b"ok", True)),
}


@pytest.mark.parametrize(("sent", "read_as"), SHAPES.values(), ids=SHAPES)
def test_every_shape_is_read_the_same_wherever_it_is_cut(sent, read_as):
    assert read(sent) == read_as
    assert read(*(sent[at : at + 1] for at in range(len(sent)))) == read_as
    for at in range(1, len(sent)):
        assert read(sent[:at], sent[at:]) == read_as


@pytest.mark.parametrize(("sent", "read_as"), SHAPES.values(), ids=SHAPES)
def test_what_ends_before_its_end_is_not_complete(sent, read_as):
    for at in range(1, len(sent)):
        assert read(sent[:at]) is None


def test_one_reader_reads_answer_after_answer():
    reader = AnswerReader()
    for sent, read_as in SHAPES.values():
        if read_as[2]:
            assert read(sent, reader=reader) == read_as


def test_without_a_length_the_end_of_the_connection_is_the_end_of_the_body():
    for version in (b"1.0", b"1.1"):
        head = b"HTTP/" + version + b" 200 OK\r\n\r\n"
        assert read(head, b"to the", b" end") == (200, b"to the end", False)
        assert read(head) == (200, b"", False)


@pytest.mark.parametrize("head", [OK[:-2], CHUNKED, b"HTTP/1.1 204 No Content\r\n\r\n"])
def test_head_has_no_body_whatever_its_length_says_and_the_next_answer_has(head):
    reader = AnswerReader()
    assert read(head, is_for_head=True, reader=reader) == (int(head[9:12]), b"", True)
    assert read(OK, reader=reader) == (200, b"ok", True)
    assert read(EARLY + head, is_for_head=True, reader=reader)[2]


@pytest.mark.parametrize(
    "sent", [OK, *(CHUNKED + more for more in (b"2", b"2\r\n", b"2\r\n\r\n", b"0\r\n\r\n", b"2;x\r\n\r\n"))]
)
def test_a_body_after_head_is_not_read_and_the_connection_is_of_no_use(sent):
    assert read(sent, is_for_head=True) == (200, b"", False)
    assert read(sent[:30], sent[30:], is_for_head=True) == (200, b"", False)


@pytest.mark.parametrize("more", [b"x", OK, b"HTTP/1.1 200 O", b"\r\n\r\nHTTP/1.1 408 Time\r\n\r\n", b"\0"])
@pytest.mark.parametrize("sent", [OK, SHAPES["chunks"][0], SHAPES["no content"][0]])
def test_bytes_behind_the_answer_end_the_connection(sent, more):
    status, body, may_go_on = read(sent + more)
    assert (status, body) == read(sent)[:2]
    assert not may_go_on


BAD = {
    "no HTTP": b"this is not HTTP\r\n\r\n",
    "TLS alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "HTTP/2 settings": b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/0.9": b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "one length twice": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "a list of lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
    "chunks and length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n",
    "a coding that nobody asked for": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "chunked twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "identity": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
    "a length with a sign": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    "a length beyond 64 bits": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
    "a chunk beyond 64 bits": CHUNKED + b"fffffffffffffffff\r\n",
    "a chunk of no number": CHUNKED + b"x\r\n",
    "a chunk longer than it says": CHUNKED + b"1\r\nok\r\n",
    "line feeds alone": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    "a folded header": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
    "a zero byte in a header": b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nabc",
    "another protocol, unsaid": b"HTTP/1.1 101 Switching\r\n\r\n" + OK,
    "too many interim": EARLY * (MAX_INTERIM + 1) + OK,
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * (MAX_HEADERS + 1) + b"\r\n",
    "too many trailers": CHUNKED + b"0\r\n" + b"X: y\r\n" * MAX_HEADERS + b"\r\n",
    "a header without end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2 * MAX_HEAD_BYTES,
    "a header too long": b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n",
    "a reason without end": b"HTTP/1.1 200 " + b"x" * 2 * MAX_HEAD_BYTES,
    "a trailer without end": CHUNKED + b"0\r\nX: " + b"x" * 4 * MAX_HEAD_BYTES,
    "an extension without end": CHUNKED + b"1;x=" + b"x" * 4 * MAX_HEAD_BYTES,
}


@pytest.mark.parametrize("sent", BAD.values(), ids=BAD)
@pytest.mark.parametrize("size", [1, 1_000, 65_536])
def test_an_answer_of_no_or_two_meanings_or_without_end_is_bad(sent, size):
    chunks = [sent[at : at + size] for at in range(0, len(sent), size)]
    with pytest.raises(BadAnswer) as failure:
        read(*chunks)
    assert failure.value.__context__ is None


def test_of_a_body_1_mb_is_kept_and_8_are_read():
    length = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    size = 3 * MAX_KEPT_BYTES
    chunks = [bytes(100_000)] * (size // 100_000) + [bytes(size % 100_000)]
    status, body, may_go_on = read(length % size, *chunks)
    assert (status, len(body), may_go_on) == (200, MAX_KEPT_BYTES, True)
    chunks = [bytes(100_000)] * (MAX_READ_BYTES // 100_000 + 1)
    status, body, may_go_on = read(length % (1 << 40), *chunks)
    assert (status, len(body), may_go_on) == (200, MAX_KEPT_BYTES, False)


def test_a_bomb_of_small_chunks_is_cut_off_by_what_comes_over_the_wire():
    chunk = b"1;" + b"x" * 997 + b"\r\nk\r\n"
    reader = AnswerReader()
    reader.begin(is_for_head=False)
    reader.feed(CHUNKED)
    count = next(number for number in range(1, 100_000) if reader.feed(chunk))
    assert (count - 2) * len(chunk) <= MAX_READ_BYTES
    assert not reader.may_go_on
    assert reader.answer().body == b"k" * count


def test_names_are_in_lower_case_values_as_text_and_trailers_left_out():
    reader = AnswerReader()
    reader.begin(is_for_head=False)
    head = b"HTTP/1.1 200 OK\r\nX-A: \xc3\xa4 \r\nX-B:\xff\r\nTransfer-Encoding: Chunked\r\n\r\n"
    assert reader.feed(head + b"0\r\nX-C: c\r\n\r\n")
    assert reader.answer().headers == (("x-a", "ä"), ("x-b", "\ufffd"), ("transfer-encoding", "Chunked"))
