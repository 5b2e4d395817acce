import pytest

from sgtm.container.settings_file import read_configured, read_settings_file
from sgtm.errors import ContainerError, SettingsError
from tests.container.google.exports import export


@pytest.fixture
def written(tmp_path):
    def write(text, name="sgtm.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def test_settings_of_the_process_and_of_the_container_stand_in_one_file(written):
    file = read_settings_file(
        written("port: 08080\nlog_level: debug\ncontainer:\n  clients: {ga4: {answer: 204}}\n")
    )
    assert file.process == {"port": "08080", "log_level": "debug"}
    assert file.container == {"clients": {"ga4": {"answer": 204}}}


def test_no_file_and_an_empty_file_say_nothing(written):
    for path in ("", written("# nothing\n")):
        file = read_settings_file(path)
        assert (file.process, file.container) == ({}, {})


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("port: 1\nport: 2\n", "sgtm.yaml:2", "a second time"),
        ("- port\n", "sgtm.yaml", "is no mapping"),
        ("container: 5\n", "sgtm.yaml:1: container", "is no mapping"),
        ("port: 1\ncontainer:\n  client: {}\n", "sgtm.yaml:3: container.client", "is not known"),
        (
            "container:\n  unclaimed_status: no\n",
            "sgtm.yaml:2: container.unclaimed_status",
            "expected a whole number",
        ),
        (
            "container:\n  consent: {unset: maybe}\n",
            "sgtm.yaml:2: container.consent.unset",
            "not one of the choices",
        ),
    ],
)
def test_mistakes_are_told_with_their_place(written, text, where, what):
    with pytest.raises(SettingsError) as raised:
        read_settings_file(written(text))
    assert raised.value.where.endswith(where)
    assert what in raised.value.what


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        read_settings_file(str(tmp_path / "nothing.yaml"))


def test_an_export_is_read_with_its_settings(written):
    path = written(export().decode(), "GTM-A.json")
    settings = written("container: {unclaimed_status: 404}\n")
    assert b'"sgtm":{"unclaimed_status":404}}' in read_configured(path, settings)
    assert read_configured(path) == export()


def test_a_container_yaml_says_everything_itself(written):
    path, settings = written("sgtm: 1\n", "container.yaml"), written("container: {unclaimed_status: 404}\n")
    with pytest.raises(SettingsError, match="is for exports of Tag Manager"):
        read_configured(path, settings)
    with pytest.raises(ContainerError):
        read_configured(path + "x", "")
