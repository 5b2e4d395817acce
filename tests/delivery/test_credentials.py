import os

import pytest

from sgtm.delivery.credentials import Credentials, CredentialSource
from sgtm.delivery.errors import CredentialMissing, SendError


def test_a_variable_is_read_anew_each_time(monkeypatch):
    credentials = Credentials({"TOKEN": CredentialSource(environment="SGTM_TEST_TOKEN")})
    monkeypatch.setenv("SGTM_TEST_TOKEN", "old")
    assert credentials.value("TOKEN") == "old"
    monkeypatch.setenv("SGTM_TEST_TOKEN", "new\n")
    assert credentials.value("TOKEN") == "new"


def test_a_rotated_file_is_read_anew(tmp_path):
    path = tmp_path / "token"
    credentials = Credentials({"TOKEN": CredentialSource(file=str(path))})
    path.write_text("old\n")
    assert credentials.value("TOKEN") == "old"
    rotated = tmp_path / "rotated"
    rotated.write_text("new\n")
    stamp = path.stat().st_mtime_ns
    os.utime(rotated, ns=(stamp, stamp))
    rotated.rename(path)  # the same time and size: still another file
    assert credentials.value("TOKEN") == "new"


@pytest.mark.parametrize(
    "source",
    [
        None,
        CredentialSource(environment="SGTM_TEST_UNSET"),
        CredentialSource(file="/nowhere"),
        CredentialSource(),
    ],
)
def test_what_is_not_there_is_a_send_error_that_names_it(source):
    credentials = Credentials({} if source is None else {"TOKEN": source})
    with pytest.raises(CredentialMissing, match="TOKEN") as missing:
        credentials.value("TOKEN")
    assert isinstance(missing.value, SendError)
    assert not missing.value.may_have_arrived


def test_a_secret_is_not_in_the_text_of_its_source():
    assert "s3cret" not in repr(CredentialSource(literal="s3cret"))
