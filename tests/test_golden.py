"""The one runner of the golden cases of components; their format stands in cases.py."""

import msgspec
import pytest
from cases import GOLDEN, dump, load_cases, run_case, write_missing

from sgtm.component import components

CASES = load_cases()
RESULTS = ("expect", "expect_lookup", "expect_undefined", "declines", "drops")


@pytest.mark.parametrize(
    ("component", "case", "path"), CASES, ids=[f"{path.stem}: {case['name']}" for _, case, path in CASES]
)
def test_golden(component, case, path, request):
    assert not isinstance(component, str), f"{path} belongs to no component; its name must be a type"
    result = run_case(component, case)
    expected = {key: case[key] for key in RESULTS if key in case}
    if not expected:
        assert request.config.getoption("--update-golden"), (
            f"no expectation yet: `make golden` writes\n{dump(result)}"
        )
        write_missing(path, {case["name"]: result})
        return
    assert dump(result) == dump(expected)


def kinds_and_types():
    return [
        (kind, one.type)
        for kind in ("client", "variable", "transformation", "tag")
        for one in components(kind)
    ]


@pytest.mark.parametrize(("kind", "type_"), kinds_and_types())
def test_every_component_has_a_case_with_only_required_and_one_with_all_parameters(kind, type_):
    mine = [
        (c, case) for c, case, _ in CASES if not isinstance(c, str) and c.kind == kind and c.type == type_
    ]
    assert mine, f"write tests/golden/{kind}s/{type_}.yaml"
    fields = msgspec.structs.fields(mine[0][0].parameters_type)
    required = {field.encode_name for field in fields if field.required}
    every = {field.encode_name for field in fields}
    given = [set(case.get("parameters") or {}) for _, case in mine]
    assert required in given, f"a case that sets only {sorted(required)}"
    assert every <= set().union(*given), f"never set in a case: {sorted(every - set().union(*given))}"


def test_case_names_are_unique_and_every_file_is_used():
    for path in GOLDEN.rglob("*.yaml"):
        names = [case["name"] for _, case, at in CASES if at == path]
        assert len(names) == len(set(names)), path
