import asyncio

import pytest
import uvloop
from delivery import deliveries


@pytest.fixture(params=deliveries.SENDERS)
def each_sender(request, monkeypatch):
    """The test runs once with each sender (`new_sender`); the value is its name."""
    monkeypatch.setattr(deliveries, "new_sender", deliveries.SENDERS[request.param])
    return request.param


def pytest_asyncio_loop_factories(config, item):
    """The lean sender stands right on the event loop: its tests run on both kinds."""
    loops = {"asyncio": asyncio.new_event_loop}
    return loops | {"uvloop": uvloop.new_event_loop} if item.path.name == "test_lean_sender.py" else loops
