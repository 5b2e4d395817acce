from delivery.outbox_machine import make_record
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields

from sgtm.delivery.outbox.records import join_group, read_record, split_group, write_record
from sgtm.messages import IncomingRequest, Record

# SPEC: reliability 1.3 (row: records one after the other, each with its CRC32), 1.4 row 5 (loses at most the
# damaged rows)

texts = st.text(max_size=20) | st.binary(max_size=20).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
records = st.builds(
    make_record,
    st.integers(0, 2**64 - 1),
    st.binary(max_size=200),
    path=texts,
    host=texts,
    query=st.binary(max_size=50),
    headers=st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=9)), max_size=4).map(tuple),
    verdict=st.none() | st.text(max_size=5),
    is_peer_trusted=st.booleans(),
    path_prefix=st.sampled_from(["", "/shop"]),
)


def group_of(some):
    group = bytearray()
    for record in some:
        write_record(record, group)
    return bytes(group)


@given(st.lists(records, max_size=5))
def test_records_come_back_as_they_were(some):
    payloads = list(split_group(group_of(some)))
    assert [read_record(payload) for payload in payloads] == some
    assert bytes(join_group(payloads)) == group_of(some)


def test_every_field_is_kept():
    # a new field of a record needs a new version of what is written
    assert len(fields(Record)) + len(fields(IncomingRequest)) - 1 == 14


def test_no_flipped_bit_makes_another_record():
    some = [make_record(number, b"body") for number in range(3)]
    group = group_of(some)
    for bit in range(len(group) * 8):
        damaged = bytearray(group)
        damaged[bit // 8] ^= 1 << bit % 8
        found = [payload and read_record(payload) for payload in split_group(bytes(damaged))]
        assert all(record is None or record in some for record in found)
        assert sum(record is not None for record in found) < 3, "the damage is seen"


def test_a_damaged_body_costs_one_record_only():
    some = [make_record(number, b"body") for number in range(3)]
    damaged = bytearray(group_of(some))
    damaged[40] ^= 1
    found = [payload and read_record(payload) for payload in split_group(bytes(damaged))]
    assert found == [None, some[1], some[2]]


@given(st.binary(max_size=200))
def test_noise_is_no_record(noise):
    assert all(payload is None or read_record(payload) is None for payload in split_group(noise))


def test_a_version_of_the_future_is_not_guessed():
    (payload,) = split_group(group_of([make_record()]))
    assert read_record(b"\x63" + payload[1:]) is None
