import pytest
from delivery import deliveries


@pytest.fixture(params=deliveries.SENDERS)
def each_sender(request, monkeypatch):
    """The test runs once with each sender (`new_sender`); the value is its name."""
    monkeypatch.setattr(deliveries, "new_sender", deliveries.SENDERS[request.param])
    return request.param
