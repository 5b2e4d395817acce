"""The user agent's parts: what the package costs whom, and texts of anybody (R149)."""

import subprocess
import sys

import pytest
from cases import make_request
from hypothesis import given, settings
from hypothesis import strategies as st

from sgtm.container.check import judge
from sgtm.container.native import read_source
from sgtm.event import make_event, undefined
from sgtm.variables import user_agent_part
from sgtm.variables.user_agent_part import MAX_KEPT, MAX_LENGTH, Parameters, resolve

REQUEST = make_request({})
CONTAINER = b"""sgtm: 1
consent: {unset: denied, gate: all}
clients: [{name: GA4, type: ga4}]
variables: [{name: Browser, type: user_agent_part}]
preparations:
- {name: B, type: augment_event, parameters: {parameters: {b: "{{Browser}}"}}}
"""


def part(name, data):
    return resolve(make_event(data, REQUEST, "c", 0), Parameters(part=name))


def problems():
    return [one for one in judge(read_source(CONTAINER, "c.yaml", {})) if "ua-parser" in one.what]


@pytest.fixture
def without_package(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "ua_parser"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ua_parser", None)
    user_agent_part._parser.cache_clear()
    yield
    user_agent_part._parser.cache_clear()


def test_check_says_which_package_is_missing(without_package):
    (problem,) = problems()
    assert problem.severity == "error"
    assert (problem.what, problem.mend) == ("needs the package `ua-parser`", "pip install 'sgtm[ua]'")
    assert "Browser" in problem.where


def test_with_the_package_check_is_content_and_has_loaded_it():
    user_agent_part._parser.cache_clear()
    assert problems() == []
    assert user_agent_part._parser.cache_info().currsize == 1


def test_who_has_no_such_variable_does_not_load_the_package():
    code = (
        "import sys; from sgtm.component import find; assert find('variable', 'user_agent_part');"
        "sys.exit('ua_parser' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


_TEXTS = st.text(max_size=60) | st.sampled_from(["Mozilla/5.0 (", "\ud800 Chrome/1", "x" * 5000])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
_KEYS = ("brands", "full_version_list", "platform", "platform_version", "mobile", "brand", "version")
_HINTS = st.fixed_dictionaries(
    {},
    optional={key: _JSON | st.lists(st.dictionaries(st.sampled_from(_KEYS), _JSON)) for key in _KEYS[:5]},
)


@settings(max_examples=150, deadline=None)
@given(_TEXTS, _HINTS | _JSON, st.sampled_from(Parameters.__annotations__["part"].__args__[0].__args__))
def test_whatever_is_sent_gives_a_text_a_truth_value_or_nothing(text, hints, name):
    value = part(name, {"user_agent": text, "client_hints": hints})
    assert value is undefined or isinstance(value, bool if name == "is_bot" else str)


def test_what_is_remembered_is_bounded():
    for number in range(MAX_KEPT + 50):
        part("browser", {"user_agent": f"{number}"})
    assert user_agent_part._parts_of.cache_info().currsize == MAX_KEPT


def test_what_stands_behind_in_a_long_text_is_not_read():
    within, behind = "x" * (MAX_LENGTH - 7) + " iPhone", "x" * (MAX_LENGTH - 6) + " iPhone"
    assert part("device_type", {"user_agent": within}) == "mobile"
    assert part("device_type", {"user_agent": behind}) is undefined
