"""Documentation is tested: every curl line of README and docs works as written (R243), nothing is
undocumented, links lead somewhere, and what is generated is fresh."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import fields

from sgtm.component import components
from sgtm.container.check import check_container
from sgtm.observability.names import GAUGES, METRICS
from sgtm.settings import Settings
from sgtm.settings_sources import flag_of

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/**/*.md"),
    ]
)
FENCE = re.compile(r"```sh\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def shop():
    """Address of the running demo: what README's reader has in front of him."""
    command = [sys.executable, "-u", "-m", "sgtm", "demo", "--port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        url = None
        for line in process.stdout:
            found = re.search(r"at (http://\S+)", line)
            url = url or (found and found[1])
            if line.startswith("Send your own hits"):
                break
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def operated(tmp_path_factory):
    """A server with an admin listener: how a curl line of its operators is to be read there."""
    folder = tmp_path_factory.mktemp("operated")
    container, data = folder / "container.yaml", folder / "sgtm-data"
    container.write_text("sgtm: 1\nclients: [{name: Shop, type: json, parameters: {paths: [/data]}}]\n")
    command = [sys.executable, "-m", "sgtm", "serve", str(container), "--host", "127.0.0.1", "--port", "0"]
    command += ["--admin-port", "0", "--data-folder", str(data), "--log-format", "json"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        lines = (json.loads(line) for line in process.stderr)
        admin = next(line["admin"] for line in lines if line["message"] == "serving")
        yield lambda line: line.replace("http://127.0.0.1:8081", admin).replace("sgtm-data", str(data))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def curl_lines():
    for page in PAGES:
        for block in FENCE.findall(page.read_text()):
            lines = block.replace("\\\n", " ").splitlines()
            for line, following in zip(lines, [*lines[1:], ""], strict=True):
                if line.startswith("curl "):
                    yield pytest.param(line, following, id=f"{page.name}: {line[:60]}")


@pytest.mark.parametrize(("line", "expected"), list(curl_lines()))
def test_a_curl_line_of_the_docs_is_answered_as_the_docs_say(line, expected, request):
    assert expected.startswith("# HTTP/1.1 "), f"say in the next line what is answered: {line}"
    if "http://127.0.0.1:8081" in line:
        command = request.getfixturevalue("operated")(line)
    else:
        assert "http://localhost:8080" in line
        command = line.replace("http://localhost:8080", request.getfixturevalue("shop"))
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith(expected.removeprefix("# ")), done.stdout


def containers():
    for page in PAGES:
        for number, block in enumerate(
            re.findall(r"```yaml\n(sgtm: 1\n.*?)```", page.read_text(), re.DOTALL)
        ):
            yield pytest.param(block, id=f"{page.name} {number}")


@pytest.mark.parametrize("text", list(containers()))
def test_a_container_of_the_docs_is_one_that_serve_takes(text, tmp_path, monkeypatch):
    for name in re.findall(r"\$\{(\w+)\}", text):
        monkeypatch.setenv(name, "1234567890123456")
    path = tmp_path / "container.yaml"
    path.write_text(text)
    assert [problem for problem in check_container(path) if problem.severity == "error"] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_that_exist(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_component_has_a_page_and_every_metric_is_on_one():
    for kind in ("client", "variable", "transformation", "tag"):
        for component in components(kind):
            assert (ROOT / f"docs/reference/{kind}s/{component.type}.md").exists()
    page = (ROOT / "docs/reference/metrics.md").read_text()
    assert [name for name in METRICS if name not in page] == []


def test_generated_pages_are_fresh():
    done = subprocess.run(
        [sys.executable, "-m", "sgtm", "docs", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["threat-model", "deployment", "alerts"])
def test_settings_tests_and_metrics_that_a_page_names_exist(name):
    text = (ROOT / f"docs/{name}.md").read_text()
    known = {flag_of(field) for field in fields(Settings)}
    assert {flag for flag in re.findall(r"`(--[a-z-]+)", text) if flag not in known} == set()
    assert [path for path in re.findall(r"`(tests/[^`]+)`", text) if not (ROOT / path).exists()] == []
    assert {
        metric for metric in re.findall(r"`(sgtm_\w+)`", text) if metric not in {*METRICS, *GAUGES}
    } == set()
    parameters = {
        field.encode_name
        for one in components("client")
        for field in msgspec.structs.fields(one.parameters_type)
    }
    entities = {"allowed_origins"} | {field.name for field in fields(Settings)}
    words = set(re.findall(r"`([a-z]+_[a-z_]+)`", text)) - {*METRICS, *GAUGES}
    assert words - parameters - entities - OF_OTHERS == set()


OF_OTHERS = {"large_client_header_buffers", "server_container_url"}
"""Words of nginx and of gtag."""
