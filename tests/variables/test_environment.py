"""Environment: what the goldens cannot set."""

import pytest
from cases import case_event

from sgtm.variables.environment import Parameters, resolve


@pytest.mark.parametrize("value", ["live", ""])
def test_a_variable_that_is_set_is_a_text_and_no_default_takes_its_place(monkeypatch, value):
    monkeypatch.setenv("SGTM_GOLDEN_STAGE", value)
    assert resolve(case_event({}), Parameters("SGTM_GOLDEN_STAGE", default="none")) == value
