"""Types in words, and each wrong field as a problem of its own."""

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct, inspect

from sgtm.component import Secret
from sgtm.container.document import Document
from sgtm.container.field_types import inner_type, is_secret, is_text_only, limits, type_words
from sgtm.container.fields import fields_of, read_fields, split_error
from sgtm.container.report import Report

info = inspect.type_info


class Inner(Struct):
    code: int


class Sample(Struct, frozen=True, forbid_unknown_fields=True):
    title: Annotated[str, Meta(min_length=2, max_length=4, description="What it is called.")]
    size: Annotated[int, Meta(ge=1, le=8)] = 1
    kind: Literal["round", "square"] = "round"
    inner: tuple[Inner, ...] = ()
    token: Secret | None = None


def read(written, **more):
    report = Report("c.yaml", Document())
    values = read_fields(Sample, written, (), report, **more)
    return values, [(one.where.partition(": ")[2], one.what, one.mend) for one in report.problems]


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        (str, "text"),
        (str | None, "text"),
        (bool, "true or false"),
        (int | str, "a whole number or text"),
        (float, "a number"),
        (Any, "anything"),
        (Literal["a", "b"], "one of: a, b"),
        (list[int], "a list of whole numbers"),
        (tuple[Inner, ...], "a list of mappings"),
        (dict[str, str], "a mapping of text"),
        (Secret | None, "a secret"),
        (Annotated[int, Meta(ge=1)] | None, "a whole number"),
        (list[Literal["a", "b"]], "a list of these: a, b"),
        (None, "nothing"),
    ],
)
def test_a_type_is_said_in_words(type_, words):
    assert type_words(info(type_)) == words


def test_bounds_are_said_in_words():
    assert limits(info(Annotated[float, Meta(gt=0, le=60)])) == " (above 0, at most 60)"
    assert limits(info(int)) == limits(info(str)) == ""


def test_what_stands_inside_has_its_own_type():
    assert inner_type(info(Sample), "size") == fields_of(Sample)[1].type
    assert isinstance(inner_type(info(dict[str, int]), "any"), inspect.IntType)
    assert isinstance(inner_type(info(list[str] | None), 3), inspect.StrType)
    assert isinstance(inner_type(info(Sample), "unknown"), inspect.AnyType)
    assert isinstance(inner_type(info(str), 0), inspect.AnyType)


def test_secrets_and_texts_are_told_apart():
    assert is_secret(info(Secret | None))
    assert not is_secret(info(str))
    assert is_text_only(info(Annotated[str, Meta(min_length=1)] | None))
    assert is_text_only(info(Literal["a", "b"]))
    assert not any(is_text_only(info(type_)) for type_ in (int | str, Any, None, Literal["a", 1], list[str]))


def test_every_wrong_field_is_a_problem_of_its_own():
    values, problems = read(
        {"title": "x", "size": 9, "kind": "sqare", "inner": [{"code": 1}, {"code": "no"}]}
    )
    assert values is None
    assert problems == [
        ("title", "is too short", "write text: What it is called"),
        ("size", "must be at most 8", "write a whole number (at least 1, at most 8)"),
        ("kind", "'sqare' is not one of the choices", 'did you mean "square"?'),
        ("inner[1].code", "'no' is text; expected a whole number", "write a whole number"),
    ]


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ({"title": ""}, "is empty"),
        ({"title": "abcde"}, "is too long"),
        ({"title": None}, "is nothing; expected text"),
        ({"title": ["a"]}, "is a list; expected text"),
        ({"title": True}, "is true; expected text"),
        ({"title": "abc", "inner": [{}]}, "object missing required field 'code'"),
        ({}, "`title` is missing"),
    ],
)
def test_what_is_wrong_is_said_without_the_words_of_a_programmer(written, what):
    assert what in [said for _, said, _ in read(written)[1]]


def test_fields_with_references_stay_as_they_are_unless_none_can_stand_there():
    assert read({"title": "{{A}}", "size": "{{B}}"}) == ({"title": "{{A}}", "size": "{{B}}"}, [])
    values, problems = read({"title": "{{A}}"}, no_references="write it out")
    assert values is None
    assert problems == [("title", "a {{variable}} cannot stand here", "write it out")]


def test_keys_that_somebody_else_reads_are_known_and_left_alone():
    assert read({"title": "abc", "more": 1, "size": "x"}, ignores=frozenset({"more", "size"})) == (
        {"title": "abc"},
        [],
    )


def test_a_message_of_msgspec_is_taken_apart():
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.convert({"title": "abc", "inner": [{"code": None}]}, Sample)
    assert split_error(raised.value) == ("Expected `int`, got `null`", ("inner", 0, "code"))
