"""The source of a container with the files that it names (SPEC: requirements R218, R288)."""

from sgtm.container.compile import load_container
from sgtm.container.native import read_source
from sgtm.container.settings_file import read_configured
from sgtm.container.source import named_files, parts_of, whole_source

CONTAINER = b"""sgtm: 1
custom_templates:
- {name: A, types: [cvt_1_2], file: templates/a.tpl}
- {name: B, types: [cvt_1_3], file: ../b.tpl}
"""


CODE = "___SANDBOXED_JS_FOR_SERVER___\n\n// "


def write(folder, text="one"):
    (folder / "shop" / "templates").mkdir(parents=True, exist_ok=True)
    (folder / "b.tpl").write_text(f"{CODE}outside")
    (folder / "shop" / "templates" / "a.tpl").write_text(CODE + text)
    path = folder / "shop" / "container.yaml"
    path.write_bytes(CONTAINER)
    return path


def test_a_source_holds_the_files_below_the_folder_and_lines_stay(tmp_path):
    path = write(tmp_path)
    source = read_configured(path)
    assert parts_of(source) == (CONTAINER, {"templates/a.tpl": f"{CODE}one"})
    assert named_files(path) == [path.parent / "templates/a.tpl"]
    (path.parent / "templates/a.tpl").write_text("two")
    reading = read_source(source, str(path))
    assert [one.source for one in reading.model.custom_templates] == [f"{CODE}one", f"{CODE}outside"]
    assert reading.report.problems == []


def test_another_template_is_another_version_and_every_way_to_read_it_agrees(tmp_path):
    path = write(tmp_path)
    before = load_container(path).version
    assert load_container(path, source=read_configured(path)).version == before
    write(tmp_path, "two")
    assert load_container(path).version != before


def test_what_names_no_file_is_its_own_source(tmp_path):
    path = tmp_path / "container.yaml"
    for content in (
        b"sgtm: 1\n",
        b"sgtm: 1\ncustom_templates: 3\n",
        b"custom_templates: [{file: ''}, 1]",
        b"custom_templates: [",
    ):
        assert whole_source(content, path) == content
        assert parts_of(content) == (content, {})
    odd = b"sgtm: 1\n--- # files that it names\nnothing\n"
    assert parts_of(odd) == (odd, {})


def test_a_file_that_cannot_be_read_is_left_to_whoever_reads_the_container(tmp_path):
    path = write(tmp_path)
    file = path.parent / "templates/a.tpl"
    for content in (b"\xff", b"x" * 2_000_001):
        file.write_bytes(content)
        assert read_configured(path) == CONTAINER
        assert read_source(CONTAINER, str(path)).report.has_errors
