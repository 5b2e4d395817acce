"""Runs `python -m sgtm` as a person does: a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sgtm(tmp_path):
    """Run a command in an empty folder (or `cwd`): its exit status, stdout and stderr."""

    def run(*words, cwd=tmp_path, env=None):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "META_TOKEN": "t", **(env or {})}
        command = [sys.executable, "-m", "sgtm", *map(str, words)]
        done = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


SHOP = """sgtm: 1
name: shop
consent: {unset: denied, gate: all}
clients:
- {name: Orders, type: json, priority: 10, parameters: {paths: [/orders, /refunds]}}
- {name: GA4, type: ga4, priority: 20}
triggers:
- {name: Purchases, type: custom_event, event_names: [purchase]}
tags:
- name: Meta
  type: meta_conversions
  firing_triggers: [Purchases]
  parameters: {pixel_id: "123", access_token: "${META_TOKEN}"}
- name: Warehouse
  type: http_request
  priority: 5
  consent: []
  firing_triggers: [All Events]
  parameters: {url: "https://warehouse.example:8443/orders"}
"""


@pytest.fixture
def shop(tmp_path):
    """Path of a container without problems."""
    path = tmp_path / "container.yaml"
    path.write_text(SHOP)
    return path
