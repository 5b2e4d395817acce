"""Keys of templates, from a file."""

import pytest

from sgtm.delivery.private_keys import PrivateKeys
from sgtm.errors import SettingsError


def test_keys_are_read_again_when_the_file_changes_and_stay_when_it_goes_bad(tmp_path):
    file = tmp_path / "keys.json"
    file.write_text('{"keys": {"a": "c2VjcmV0"}}')
    keys = PrivateKeys(str(file))
    assert (keys("a"), keys("b")) == (b"secret", None)
    file.write_text('{"keys": {"a": "b3RoZXI=", "b": "Yg=="}}')
    assert (keys("a"), keys("b")) == (b"other", b"b")
    file.write_text("{")
    assert keys("a") == b"other"


@pytest.mark.parametrize("text", ["", "{", '{"keys": ["a"]}', '{"keys": {"a": "no base64!"}}', None])
def test_a_file_without_keys_is_refused_and_its_content_not_shown(tmp_path, text):
    file = tmp_path / "keys.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError, match="write") as caught:
        PrivateKeys(str(file))
    assert "base64!" not in str(caught.value)
