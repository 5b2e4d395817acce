"""A tag of every kind of parameter, so that these tests stand apart from the real components."""

from typing import Annotated, Any, Literal

import pytest
from msgspec import UNSET, Meta, Struct

from sgtm import component
from sgtm.component import Component, Secret, read_status


class Probe(Struct, frozen=True, forbid_unknown_fields=True):
    anything: Any = UNSET
    text: str = ""
    number: Annotated[float, Meta(ge=0)] = 0.0
    choice: Literal["one", "two"] = "one"
    numbers: tuple[int, ...] = ()
    texts: dict[str, str] = {}
    secret: Secret | None = None


@pytest.fixture(scope="module")
def probe():
    """Registers the tag type `probe`, whose `build` is never called."""
    component.find("tag", "")
    one = Component(
        kind="tag",
        type="probe",
        function=lambda event, parameters: [],
        parameters_type=Probe,
        module=__name__,
        consent=("ad_storage",),
        read=read_status,
    )
    known = component._REGISTRY["tag"]
    known["probe"] = one
    yield one
    del known["probe"]
