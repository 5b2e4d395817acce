"""The page's files: what may be served, under which policy, and that the library is the published one."""

import base64
import hashlib
import json
import re
import shutil
import subprocess

import pytest

from sgtm.preview import assets
from sgtm.preview.library import FOLDER, TAKEN

OWN = sorted(name for name in assets.assets() if name.endswith(".js") and name != "lit-html.js")


def test_the_library_is_the_published_release_unmodified():
    note = json.loads((FOLDER / "library.json").read_text())
    assert set(note["files"]) == set(TAKEN.values())
    for name, expected in note["files"].items():
        digest = hashlib.sha512((FOLDER / name).read_bytes()).digest()
        assert f"sha512-{base64.b64encode(digest).decode()}" == expected, name
    assert "BSD-3-Clause" in (FOLDER / "lit-html.js").read_text()


def test_only_files_of_the_page_can_be_asked_for():
    for name in ("", "..", "../view.py", "login.html", "index.html", "library.json", "app.js/", "APP.JS"):
        assert assets.asset(name) is None, name
    found = assets.asset("app.js")
    assert found is not None
    assert found.content_type.startswith("text/javascript")
    assert re.fullmatch('"[0-9a-f]{32}"', found.etag)


def test_the_page_names_only_files_that_are_there():
    named = re.findall(r'(?:href|src)="assets/([^"]+)"', assets.page().decode())
    assert named
    for name in [*named, *(found for js in OWN for found in imports(js))]:
        assert assets.asset(name) is not None, name


def imports(name):
    return re.findall(r'from "\./([^"]+)"', assets.assets()[name].content.decode())


@pytest.mark.parametrize("name", OWN)
def test_no_script_of_ours_makes_html_or_code_of_text(name):
    text = assets.assets()[name].content.decode()
    forbidden = r"(inner|outer|Adjacent|unsafe)HTML|document\.write|eval\(|new Function|\son\w+=\"|\sstyle=\""
    assert re.findall(forbidden, text) == []
    assert not re.search(r"\$\{[^}]*\}\s*</?(script|style)", text)
    if shutil.which("node"):
        subprocess.run(["node", "--check", FOLDER / name], check=True)


def test_the_page_has_nothing_inline():
    page = assets.page().decode()
    assert not re.search(r"<style|<script(?![^>]*src=)| on\w+=| style=", page)
    assert "default-src 'self'" in assets.PAGE_POLICY
    assert "unsafe" not in assets.PAGE_POLICY


def test_the_login_page_loads_nothing_and_says_errors_as_text():
    page = assets.login_page("<img src=x onerror=alert(1)>").decode()
    assert "&lt;img src=x" in page
    assert not re.search(r"<(script|link|img)", page)
    style = re.search("<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in assets.login_policy()
    assert assets.login_page() != assets.login_page("wrong")
