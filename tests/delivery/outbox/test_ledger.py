from sgtm.delivery.outbox.ledger import ID_BITS, Ledger

# SPEC: reliability 1.3: a batch whose records are all finished is deleted, whenever that becomes known.


def stored_batch(ledger, count=2):
    batch = ledger.new_batch(0)
    batch.count = count
    ledger.count += count
    ledger.stored(batch)
    return batch


def test_a_batch_that_is_finished_before_it_is_committed_is_deleted_afterwards():
    ledger = Ledger(1)
    batch = ledger.new_batch(0)
    batch.count = ledger.count = 1
    ledger.ran(batch.number << ID_BITS, frozenset())
    assert (ledger.count, ledger.owes_a_change) == (0, False)
    ledger.stored(batch)
    assert ledger.take_change().finished == [batch.number]


def test_a_lost_batch_that_is_finished_while_it_is_restored_is_deleted():
    ledger = Ledger(1)
    batch = stored_batch(ledger, 1)
    ledger.file_lost()
    ledger.ran(batch.number << ID_BITS, frozenset())
    assert not ledger.owes_a_change, "nothing of it is in the new file yet"
    ledger.stored(batch)  # the copy is there now
    assert ledger.take_change().finished == [batch.number]
    assert ledger.batches == {}


def test_a_change_that_failed_is_made_again_without_what_is_gone_by_then():
    ledger = Ledger(1)
    first, second = stored_batch(ledger), stored_batch(ledger)
    for batch in (first, second):
        ledger.settle(batch.number << ID_BITS, "meta")
    change = ledger.take_change()
    assert [number for number, _ in change.bits] == [first.number, second.number]
    for index in range(2):
        ledger.ran(first.number << ID_BITS | index, frozenset())
    ledger.put_back(change)
    again = ledger.take_change()
    assert ([number for number, _ in again.bits], again.finished) == ([second.number], [first.number])


def test_stray_and_repeated_words_change_nothing():
    ledger = Ledger(1)
    batch = stored_batch(ledger, 1)
    ledger.settle(12345, "meta")
    ledger.ran(12345, frozenset())
    for _ in range(2):
        ledger.ran(batch.number << ID_BITS, frozenset({"meta"}))
        ledger.settle(batch.number << ID_BITS, "meta")
    assert (ledger.count, ledger.batches) == (0, {})


def test_a_million_unfinished_records_are_a_megabyte_of_bits():
    # SPEC: design.md Delivery: one bit per record and tag
    ledger = Ledger(1)
    for _ in range(2_000):
        batch = stored_batch(ledger, 500)
        for index in (0, 100, 499):
            ledger.ran(batch.number << ID_BITS | index, frozenset({"meta", "ga4"}))
            ledger.settle(batch.number << ID_BITS | index, "meta")
    assert ledger.count == 1_000_000
    assert sum(len(batch.encode()) for batch in ledger.batches.values()) < 2_000_000
