"""sgtm list"""

from sgtm.component import components


def test_every_component_has_a_line(sgtm):
    shown = sgtm("list").stdout
    for kind in ("client", "tag", "variable", "transformation"):
        for component in components(kind):
            assert f"\n  {component.type} " in shown
    assert "{{Page URL}}" in shown


def test_one_kind_alone_can_be_listed(sgtm):
    shown = sgtm("list", "tags").stdout
    assert shown.startswith("tags:\n")
    assert "http_request" in shown
    assert "event_data" not in shown
