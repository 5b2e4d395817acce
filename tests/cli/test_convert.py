import stat

import pytest

from sgtm.container.document import read_document
from tests.container.google.exports import export, template

TAG = {"name": "Meta", "type": "cvt_AB1CD", "parameter": [template("accessToken", "invented-token-1")]}
TEMPLATE = {"templateId": "2", "name": "Meta: tag", "templateData": "code ${here}\n"}
LISTS = {"tag": [TAG], "customTemplate": [TEMPLATE | {"galleryReference": {"galleryTemplateId": "AB1CD"}}]}


@pytest.fixture
def exported(tmp_path):
    path = tmp_path / "GTM-A1.json"
    path.write_bytes(export(**LISTS))
    return path


def test_an_export_becomes_a_container_with_templates_and_without_secrets(sgtm, exported, tmp_path):
    folder = tmp_path / "shop"
    done = sgtm("convert", exported, "--output", folder)
    assert done.returncode == 0
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert written == {"container.yaml", ".env.example", "templates/meta-tag.tpl"}
    assert (folder / "templates/meta-tag.tpl").read_text() == "code ${here}\n"
    assert (folder / ".env.example").read_text() == '# tag "Meta".accessToken\nMETA_ACCESS_TOKEN=\n'
    text = (folder / "container.yaml").read_text()
    data = read_document(text.encode()).data
    assert data["tags"][0]["parameters"] == {"accessToken": "${META_ACCESS_TOKEN}"}
    assert data["custom_templates"][0]["file"] == "templates/meta-tag.tpl"
    assert "set these before you run it: META_ACCESS_TOKEN" in done.stdout
    assert "invented" not in done.stdout + text


def test_the_secrets_themselves_go_where_only_the_owner_reads(sgtm, exported, tmp_path):
    secrets = tmp_path / "secrets.env"
    done = sgtm("convert", exported, "--output", tmp_path / "out", "--env-file", secrets)
    assert done.returncode == 0
    assert secrets.read_text().splitlines()[-1] == "META_ACCESS_TOKEN=invented-token-1"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600


def test_nothing_is_overwritten_unless_asked(sgtm, exported, tmp_path):
    (tmp_path / "container.yaml").write_text("mine")
    done = sgtm("convert", exported, "--output", tmp_path)
    assert done.returncode == 2
    assert "is there already" in done.stderr
    assert (tmp_path / "container.yaml").read_text() == "mine"
    assert sgtm("convert", exported, "--output", tmp_path, "--force").returncode == 0
    assert (tmp_path / "container.yaml").read_text().startswith("sgtm: 1\n")


def test_it_can_be_printed(sgtm, exported, tmp_path):
    done = sgtm("convert", exported, "--print")
    assert read_document(done.stdout.encode()).data["tags"][0]["name"] == "Meta"
    assert [path.name for path in tmp_path.iterdir()] == ["GTM-A1.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1\n "b"', ":2: is not JSON"),
        (b'{"a": 1}', "no container of Tag Manager"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_export_is_refused_with_its_place(sgtm, tmp_path, content, message):
    path = tmp_path / "broken.json"
    if content is not None:
        path.write_bytes(content)
    done = sgtm("convert", path, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "out").exists()
