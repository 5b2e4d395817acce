"""Every test that asks for `implementation` runs on the compiled module and on its twin."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(params=["fast", "twin"])
def implementation(request: pytest.FixtureRequest) -> ModuleType:
    """`sgtm._fast.X`, then `reference.X`, for a test in test_X.py."""
    stem = Path(request.module.__file__).stem.removeprefix("test_")
    return import_module(f"{'sgtm._fast' if request.param == 'fast' else 'reference'}.{stem}")
