"""One export that uses every construct at once: what it becomes, what it does, and the same converted.

tests/golden/exports/everything.json is made by hand, all names and values are invented; `everything.yaml`
is what `sgtm convert` makes of it, `everything-hits.yaml` what some hits do. `pytest --update-golden`
writes the two again: read what changed against the spec (sandbox-api 5, google-runtime 2 and 4).
"""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sgtm.container.compile import load_container
from sgtm.container.convert import convert, environment_file
from sgtm.container.diff import Names, diff
from sgtm.container.google.translation import read_export
from sgtm.container.native import read_container
from sgtm.dry_run import dry_run
from tests.cases import GOLDEN, dump, make_request

EXPORT = GOLDEN / "exports" / "everything.json"
HITS = GOLDEN / "exports" / "everything-hits.yaml"


@pytest.fixture
def update_golden(request):
    return request.config.getoption("--update-golden")


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """Folder of the converted container, and the environment that it needs."""
    folder = tmp_path_factory.mktemp("converted")
    found = convert(read_export(EXPORT.read_bytes()), EXPORT.name)
    for name, text in found.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    lines = environment_file(found.secrets, with_values=True).splitlines()
    return folder, dict(line.split("=", 1) for line in lines if not line.startswith("#"))


@pytest.fixture(scope="module")
def both(converted):
    folder, environment = converted
    return load_container(EXPORT), load_container(folder / "container.yaml", environment)


def test_what_it_becomes(converted, update_golden):
    golden = EXPORT.with_suffix(".yaml")
    text = (converted[0] / "container.yaml").read_text()
    if update_golden:
        golden.write_text(text)
    assert text == golden.read_text()
    assert "invented" not in text


def test_both_forms_mean_the_same(converted):
    folder, environment = converted
    export, native = read_container(EXPORT, {}), read_container(folder / "container.yaml", environment)
    assert not native.report.has_errors, native.report.problems
    assert diff(export.model, native.model) == []
    assert len(read_container(EXPORT, Names()).model.custom_templates) == 3


def happened(container, said):
    """What a hit does, in short: who claimed it, which tags fired and sent what, and why the others not."""
    walk = dry_run(container, make_request({"target": said.pop("hit"), **said}))
    return {
        "claimed_by": walk.claimed_by,
        "status": walk.answer.status,
        "fired": {
            tag.name: [f"{one.request.url} {one.request.body.decode()}".strip() for one in tag.deliveries]
            for event in walk.events
            for tag in event.tags
            if tag.deliveries
        },
        "not_fired": {
            tag.name: f"{tag.outcome}: {tag.reason}"
            for event in walk.events
            for tag in event.tags
            if not tag.deliveries
        },
    }


def test_what_it_does(both, update_golden):
    cases = yaml.safe_load(HITS.read_text())
    found = [{**case, "expect": happened(both[0], dict(case["request"]))} for case in cases]
    if update_golden:
        HITS.write_text(dump(found))
        return
    assert found == cases


def test_converted_it_does_the_same(both):
    for case in yaml.safe_load(HITS.read_text()):
        assert happened(both[1], dict(case["request"])) == case["expect"], case["name"]


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(["purchase", "page_view", "view_item", "refund", "invoice", "select_item"]),
    value=st.sampled_from(["", "50", "100", "500", "1000", "5000", "many"]),
    location=st.sampled_from(
        ["", "https://b.example/bread/rye", "https://b.example/BREAD/x", "http://b.example/"]
    ),
    agent=st.sampled_from(["Mozilla/5.0", "a Spider", "bot"]),
    gcs=st.sampled_from(["", "G111", "G101", "G100"]),
    parameters=st.dictionaries(
        st.sampled_from(["coupon", "currency", "email"]), st.sampled_from(["usd", "x"]), max_size=2
    ),
)
def test_whatever_the_hit_both_forms_do_the_same(both, name, value, location, agent, gcs, parameters):
    target = f"/g/collect?v=2&tid=G-B&cid=1.2&en={name}&dl={location}&epn.value={value}&gcs={gcs}"
    target += "".join(f"&ep.{key}={text}" for key, text in parameters.items())
    said = {"hit": target, "headers": {"User-Agent": agent}}
    assert happened(both[0], dict(said)) == happened(both[1], dict(said))


def test_paths_of_the_fixture_are_the_ones_named_above():
    assert {path.name for path in Path(EXPORT.parent).iterdir()} == {
        "everything.json",
        "everything.yaml",
        "everything-hits.yaml",
    }
