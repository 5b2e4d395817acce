"""Where a problem stands, and which name comes nearest."""

from sgtm.container.document import read_document
from sgtm.container.report import Report, nearest
from sgtm.errors import Problem

TEXT = b"""sgtm: 1
clients:
- name: Orders
  type: json
- type: json
tags:
- name: Meta
  parameters:
    rows: [{id: 1}]
"""


def report():
    return Report("container.yaml", read_document(TEXT))


def test_a_place_is_a_line_and_a_path_that_a_person_can_follow():
    where = report().where
    assert where(("clients", 0, "type")) == 'container.yaml:4: client "Orders".type'
    assert where(("clients", 1, "name")) == "container.yaml:5: clients[1].name"
    assert where(("clients", 1)) == "container.yaml:5: clients[1]"
    assert (
        where(("tags", 0, "parameters", "rows", 0, "id"))
        == 'container.yaml:9: tag "Meta".parameters.rows[0].id'
    )
    assert where(("consent", "unset")) == "container.yaml:1: consent.unset"
    assert where(()) == "container.yaml:1"


def test_problems_of_a_components_own_check_get_their_lines():
    one = report()
    found = [
        Problem("warning", "is odd", 'tag "Meta".parameters.rows', "mend it"),
        Problem("error", "x", 'tag "Meta".parameters', "y"),
    ]
    one.adopt(found, ("tags", 0, "parameters"), 'tag "Meta".parameters')
    assert [problem.where for problem in one.problems] == [
        'container.yaml:9: tag "Meta".parameters.rows',
        'container.yaml:8: tag "Meta".parameters',
    ]


def test_problems_stand_in_the_order_of_their_lines_and_none_stands_twice():
    one = report()
    for path in (("tags", 0), ("clients", 0), ("tags", 0), ()):
        one.error(path, "a", "b")
    assert [problem.where.split(":")[1] for problem in one.in_line_order()] == ["1", "3", "7"]


def test_of_a_value_that_is_not_there_nothing_more_is_said():
    one = report()
    one.unset(("clients", 0), "no A", "set it")
    one.unset(("clients", 0), "no B", "set it")
    one.error(("clients", 0), "is empty", "fill it")
    assert [problem.what for problem in one.problems] == ["no A", "no B"]


def test_the_nearest_name_ignores_case_and_hyphens_and_nothing_far_is_offered():
    assert nearest("Purchase", ["purchases", "refunds"]) == 'did you mean "purchases"?'
    assert nearest("http-request", ["http_request"]) == 'did you mean "http_request"?'
    assert nearest("zebra", ["purchases"]) == ""
    assert nearest("x", []) == ""
