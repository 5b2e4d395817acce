"""The data folder, and the admin token in it."""

import os
import stat
from pathlib import Path

import pytest

from sgtm.errors import SettingsError
from sgtm.server.data_folder import admin_token, make_data_folder

GOOD = "0123456789abcdef"


def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = make_data_folder(tmp_path / "a" / "data")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert make_data_folder(folder) == folder


def test_a_folder_that_cannot_be_made_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="data-folder"):
        make_data_folder(tmp_path / "file" / "data")


def test_a_token_is_made_once_and_kept_for_its_owner(tmp_path: Path) -> None:
    token = admin_token("", tmp_path)
    assert len(token) >= 32
    assert admin_token("", tmp_path) == token
    assert stat.S_IMODE((tmp_path / "admin-token").stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["admin-token"]


def test_a_token_that_was_given_is_kept_nowhere(tmp_path: Path) -> None:
    assert admin_token(GOOD, tmp_path / "data") == GOOD
    assert not (tmp_path / "data").exists()
    with pytest.raises(SettingsError, match="SGTM_ADMIN_TOKEN"):
        admin_token(GOOD[:-1], tmp_path)


@pytest.mark.parametrize(("content", "mode"), [(GOOD, 0o644), ("short", 0o600), ("", 0o600)])
def test_a_file_that_others_read_or_that_holds_none_is_refused(
    tmp_path: Path, content: str, mode: int
) -> None:
    path = tmp_path / "admin-token"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(SettingsError, match="delete it") as caught:
        admin_token("", tmp_path)
    assert GOOD not in str(caught.value)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(GOOD)
    (tmp_path / "admin-token").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError):
        admin_token("", tmp_path)
