"""SPEC: design.md, Configuration."""

import pytest

from sgtm.container.google.overlay import with_settings
from sgtm.container.google.translation import read_export
from tests.container.google.exports import export, template

LISTS = {
    "client": [{"name": "Site", "type": "gaaw_client"}, {"name": "Other site", "type": "gaaw_client"}],
    "variable": [
        {"name": "API Token", "type": "c", "parameter": [template("value", "invented")]},
        {"name": "Page", "type": "ed", "parameter": [template("keyPath", "page_location")]},
    ],
    "tag": [{"name": "GA4", "type": "sgtmgaaw", "parameter": [template("eventName", "a")]}],
}


def read(settings):
    document = read_export(with_settings(export(**LISTS), settings)).document
    return document, [flaw.what for flaw in document.flaws]


def test_settings_come_after_what_the_export_says():
    document, flaws = read(
        {
            "unclaimed_status": 404,
            "environment_name": "Staging",
            "consent": {"unset": "denied"},
            "context": {"browser_clients": ["Site"], "server_clients": ["Other"]},
            "constants": {"API Token": "${API_TOKEN}"},
            "clients": {"ga4": {"answer": 204}, "Site": {"resent_hits": "ga4_only"}},
            "variables": {"Page": {"default": "none"}},
            "tags": {"GA4": {"endpoint": "http://127.0.0.1:9"}},
        }
    )
    data = document.data
    assert flaws == []
    assert (data["unclaimed_status"], data["environment_name"]) == (404, "Staging")
    assert data["consent"] == {"unset": "denied", "gate": "declared"}
    assert data["context"]["browser_clients"] == ["Site"]
    assert data["variables"][0]["parameters"] == {"value": "${API_TOKEN}"}
    assert data["variables"][1]["parameters"] == {"key_path": "page_location", "default": "none"}
    site, other = data["clients"]
    assert site["parameters"] == {"answer": 204, "resent_hits": "ga4_only"}
    assert other["parameters"] == {"answer": 204}
    assert data["tags"][0]["parameters"] == {"event_name": "a", "endpoint": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"constants": {"Page": 1}}, "there is no constant 'Page' for `constants` of the settings file"),
        ({"clients": {"ga5": {}}}, "'ga5' is no name and no type for `clients` of the settings file"),
        ({"variables": {"Pag": {}}}, "'Pag' is no name and no type for `variables` of the settings file"),
        ({"tags": {"Meta": {}}}, "'Meta' is no name and no type for `tags` of the settings file"),
    ],
)
def test_settings_of_what_is_not_there_are_errors(settings, what):
    assert read(settings)[1] == [what]


def test_lines_stay_where_they_are_and_the_later_settings_win():
    source = export(**LISTS)
    once = with_settings(source, {"unclaimed_status": 404})
    assert once.startswith(source.rstrip()[:-1].rstrip())
    twice = with_settings(once, {"unclaimed_status": 405})
    assert read_export(twice).document.data["unclaimed_status"] == 405
    before, after = read_export(source).document, read_export(twice).document
    assert before.lines == after.lines


def test_nothing_to_say_changes_nothing():
    assert with_settings(b'{"a": 1} ', {}) == b'{"a": 1} '
    assert with_settings(b'{"a": 1', {"unclaimed_status": 404}) == b'{"a": 1'
