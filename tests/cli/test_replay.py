"""What `sgtm replay` and `sgtm deadletters` say to a person who asks for what they cannot have."""

import re

import pytest
from msgspec.structs import replace

from sgtm.cli._replay_ledger import ReplayLedger
from sgtm.delivery.archive.keeping import Archive, Group
from sgtm.delivery.outbox.records import write_record
from sgtm.dry_run import PLAIN_REQUEST
from sgtm.errors import SettingsError
from sgtm.messages import Record
from sgtm.observability.metrics import Counters

# SPEC: R302 (count and age first, safe to run twice), R238; errors say what, where, how to mend.

NOBODY = ("--admin-port", "1")
TIMES = ("--from", "2025-11-24", "--to", "2025-11-25")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "yesterday", "--to", "2025-11-25"), "--from: 'yesterday' is no time"),
        (("--from", "2025-11-25", "--to", "2025-11-24"), "--from: is not before --to"),
        ((*TIMES, "--where", "purchase"), "--where: 'purchase' is no KEYPATH=VALUE"),
        ((*TIMES, "--dry-run"), "no container was served from here"),
        ((*TIMES, "--yes"), "no answer"),
    ],
)
def test_replay_refuses_what_it_cannot_do(sgtm, words, said):
    done = sgtm("replay", *words, *NOBODY)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list",), "there is no outbox here"),
        (("list", "--reveal"), "only `show` reveals"),
    ],
)
def test_deadletters_refuses_what_it_cannot_do(sgtm, words, said):
    done = sgtm("deadletters", *words, *NOBODY)
    assert done.returncode == 2
    assert said in done.stderr


def test_where_there_is_no_archive_it_says_so(sgtm, shop):
    done = sgtm("replay", *TIMES, "--dry-run", "--container", shop, *NOBODY)
    assert done.returncode == 0
    assert "0 records" in done.stdout
    assert "is `--archive` set?" in done.stdout


def test_a_dry_run_needs_no_server_and_counts_a_record_once(sgtm, shop, tmp_path):
    record = Record(
        replace(
            PLAIN_REQUEST,
            method="POST",
            path="/orders",
            headers=((b"content-type", b"application/json"),),
            body=b'{"event_name": "order", "user_data": {"email": "jane@canary.example"}}',
        ),
        "v1",
    )
    group = bytearray()
    for _ in range(2):  # archived twice, as after a commit that failed
        write_record(record, group)
    received = record.request.received_micros
    archive = Archive(tmp_path / "sgtm-data", 0, 1, 1e12, 2**30, Counters())
    archive.write([Group(group, 2, received, received)])
    archive.close()
    done = sgtm("replay", "--from", "2025-11-01", "--to", "2026-01-01", "--dry-run", "--container", shop)
    assert done.returncode == 0
    assert "1 records in 1 files" in done.stdout
    assert "tag 'Warehouse': 1 would be sent" in done.stdout
    assert "canary" not in done.stdout + done.stderr
    done = sgtm("replay", "--from", "2025-11-01", "--to", "2025-11-02", "--dry-run", "--container", shop)
    assert "0 records" in done.stdout


# -- the ledger -----------------------------------------------------------------------------------


def test_the_ledger_knows_what_has_ended_for_good(tmp_path):
    ledger = ReplayLedger(tmp_path, "one")
    for key, end in (("a", "sent"), ("b", "dead"), ("c", "nothing"), ("d", "too old"), ("e", "unknown")):
        ledger.note(key, end)
    ledger.close()
    again = ReplayLedger(tmp_path, "one")
    assert again.ended == {"a", "b"}
    assert again.token == ledger.token
    anew = ReplayLedger(tmp_path, "one", anew=True)
    assert anew.ended == set()
    assert anew.token != ledger.token, "the server is not to know it"
    assert ReplayLedger(tmp_path, "two").ended == set()


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_ledger_whose_writer_died_is_read_up_to_there(tmp_path, cut):
    ledger = ReplayLedger(tmp_path, "one")
    ledger.note("a", "sent")
    ledger.note("b", "sent")
    ledger.close()
    ledger.path.write_bytes(ledger.path.read_bytes()[:-cut])
    again = ReplayLedger(tmp_path, "one")
    assert again.ended == {"a"}
    again.note("c", "sent")
    again.close()
    assert ReplayLedger(tmp_path, "one").ended >= {"a", "c"}


def test_a_ledger_is_private_and_its_name_is_no_path(tmp_path):
    ledger = ReplayLedger(tmp_path, "one")
    assert ledger.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(SettingsError, match=re.escape("--id")):
        ReplayLedger(tmp_path, "../one")
