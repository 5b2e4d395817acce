"""Which vendors the demo talks to; what it shows is in test_show.py, that it runs in test_docs.py."""

import os

import pytest

from sgtm.demo.tour import use_stand_in

NAMES = (
    "GA4_ENDPOINT",
    "GA4_MEASUREMENT_ID",
    "META_ENDPOINT",
    "META_PIXEL_ID",
    "META_ACCESS_TOKEN",
    "WAREHOUSE_URL",
)
META = {"META_PIXEL_ID": "1", "META_ACCESS_TOKEN": "t"}


@pytest.fixture
def environment(monkeypatch):
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that what is set is taken back
        monkeypatch.delenv(name)
    return os.environ


def test_without_ids_every_vendor_is_the_stand_in(environment):
    assert use_stand_in("http://127.0.0.1:9", environment) == []
    assert environment["GA4_ENDPOINT"] == "http://127.0.0.1:9/g/collect"
    assert environment["META_ENDPOINT"] == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("ids", "real", "untouched"),
    [
        ({"GA4_MEASUREMENT_ID": "G-1"}, ["GA4"], "GA4_ENDPOINT"),
        (META, ["Meta"], "META_ENDPOINT"),
        ({"GA4_MEASUREMENT_ID": "G-1", **META}, ["GA4", "Meta"], "META_ENDPOINT"),
    ],
)
def test_with_ids_a_vendor_is_the_real_one(environment, monkeypatch, ids, real, untouched):
    for name, value in ids.items():
        monkeypatch.setenv(name, value)
    assert use_stand_in("http://127.0.0.1:9", environment) == real
    assert untouched not in environment
    assert all(environment[name] == value for name, value in ids.items())


def test_half_of_the_ids_is_the_stand_in(environment, monkeypatch):
    monkeypatch.setenv("META_PIXEL_ID", "1")
    assert use_stand_in("http://127.0.0.1:9", environment) == []
    assert environment["META_ENDPOINT"] == "http://127.0.0.1:9"
