"""`${ENV}` in texts, and secrets that are named and never expanded."""

import pytest
from msgspec import inspect

from sgtm.component import Secret
from sgtm.container.check import judge
from sgtm.container.document import Document
from sgtm.container.environment import Written, with_secret_names
from sgtm.container.native import read_source
from sgtm.container.report import Report
from sgtm.delivery.credentials import CredentialSource

ENVIRONMENT = {"SHOP": "shop", "PORT": "8080", "ON": "true", "EMPTY": "", "TOKEN": "secret value"}


def written(value, type_=str, texts=None):
    report = Report("c.yaml", Document(texts=texts or {}))
    found = Written(report, ENVIRONMENT).value(value, inspect.type_info(type_), ("key",))
    return found, [problem.what for problem in report.problems]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("${SHOP}", "shop"),
        ("https://${SHOP}.example:${PORT}/", "https://shop.example:8080/"),
        ("${NOT_SET:-none}", "none"),
        ("${EMPTY:-none}", "none"),
        ("${NOT_SET:-}", ""),
        ("${EMPTY}", ""),
        ("$${SHOP}", "${SHOP}"),
        ("$SHOP and $${1} and $${", "$SHOP and ${1} and ${"),
        ("${NOT_SET:-https://a.example/x:1}", "https://a.example/x:1"),
    ],
)
def test_variables_of_the_environment_fill_texts(text, found):
    assert written(text) == (found, [])


@pytest.mark.parametrize("text", ["${1}", "${", "${SHOP", "${SHOP-none}", "${SHOP:?}", "$ {SHOP} ${ SHOP }"])
def test_what_only_looks_like_a_variable_is_an_error(text):
    assert written(text)[1] == ["a ${ begins no variable of the environment"]


def test_a_value_of_the_environment_is_shown_by_its_name():
    # SPEC: reliability 3 rule 9: a token may have been put into the wrong variable
    text = (
        'sgtm: 1\nclients:\n- {name: A, type: json, parameters: {paths: ["${WRONG}"], status: "${SHORT}"}}\n'
    )
    text += 'tags:\n- {name: "${WRONG}", type: "${WRONG}", firing_triggers: "${WRONG}"}\n'
    problems = judge(read_source(text.encode(), "c.yaml", {"WRONG": "EAAtoken", "SHORT": "x"}))
    assert "EAAtoken" not in "".join(map(str, problems))
    said = [problem.what for problem in problems]
    assert "'${WRONG}' does not have the form '^/'" in said
    assert "'x' is text; expected a whole number" in said


def test_what_is_unset_is_named():
    assert written("${NOT_SET}/x") == ("/x", ["the environment has no variable NOT_SET"])


@pytest.mark.parametrize(
    ("text", "type_", "found"),
    [
        ("${PORT}", int, 8080),
        ("${PORT}", float, 8080.0),
        ("${ON}", bool, True),
        ("${PORT}", str, "8080"),
        ("${PORT}", int | str, "8080"),
        ("${SHOP}", int, "shop"),
        ("${PORT}0", int, "80800"),
    ],
)
def test_a_whole_variable_becomes_what_belongs_there(text, type_, found):
    assert written(text, type_) == (found, [])


def test_lists_and_mappings_are_filled_at_any_depth():
    assert written({"a": ["${SHOP}", {"b": "${PORT}"}], "c": None}, dict) == (
        {"a": ["shop", {"b": "8080"}], "c": None},
        [],
    )


def test_a_number_without_quotes_is_the_text_that_was_written_where_a_text_belongs():
    texts = {("key",): "1234567890123456789012"}
    assert written(1234567890123456789012, str, texts) == ("1234567890123456789012", [])
    assert written(1234567890123456789012, str | None, texts) == ("1234567890123456789012", [])
    assert written(5, int, {("key",): "5"}) == (5, [])


def test_a_secret_is_named_and_its_value_is_nowhere():
    found, problems = written("${TOKEN}", Secret)
    assert found == CredentialSource(environment="TOKEN")
    assert problems == []


def test_a_secret_can_be_a_file_or_a_default(tmp_path):
    path = tmp_path / "token"
    path.write_text("x")
    assert written({"file": str(path)}, Secret | None) == (CredentialSource(file=str(path)), [])
    assert written("${NOT_SET:-demo}", Secret) == (CredentialSource(literal="demo"), [])
    assert written("${TOKEN:-demo}", Secret) == (CredentialSource(environment="TOKEN"), [])
    assert written(None, Secret | None) == (None, [])


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("literal", "a secret stands in the container file itself"),
        (12345, "a secret stands in the container file itself"),
        ("${NOT_SET}", "the environment has no variable NOT_SET"),
        ("${EMPTY}", "the environment has no variable EMPTY"),
        ("Bearer ${TOKEN}", "a secret is one ${NAME} and nothing around it"),
        ("{{Token}}", "a secret cannot come from a {{variable}}"),
        ("", "is empty"),
        ([], "is not a secret"),
        ({"file": "/x", "more": 1}, "is not a secret"),
        ({"file": "/nowhere/token"}, "the file /nowhere/token cannot be read"),
    ],
)
def test_what_is_no_good_secret_is_a_problem(value, problem):
    assert written(value, Secret)[1] == [problem]


def test_components_get_names_and_the_container_keeps_the_sources():
    credentials = {}
    by_environment, literal = CredentialSource(environment="TOKEN"), CredentialSource(literal="x")
    found = with_secret_names({"a": by_environment, "b": [{"c": literal}]}, "tags.Meta", credentials)
    assert found == {"a": Secret("TOKEN"), "b": [{"c": Secret("tags.Meta.b.0.c")}]}
    assert credentials == {"TOKEN": by_environment, "tags.Meta.b.0.c": literal}
