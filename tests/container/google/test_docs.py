from pathlib import Path

from sgtm.component import Kind, components
from sgtm.container.google.components import WITHOUT_COMPONENT

PAGE = Path(__file__).parents[3] / "docs" / "google-export.md"
KINDS: tuple[Kind, ...] = ("client", "variable", "transformation", "tag")


def test_the_page_names_every_type_of_google_and_what_runs_it():
    text = PAGE.read_text()
    codes = {alias for kind in KINDS for one in components(kind) for alias in one.aliases}
    missing = [code for code in sorted(codes | WITHOUT_COMPONENT.keys()) if f"`{code}`" not in text]
    assert missing == []
