import pytest
from broker import BrokerProcess

from sgtm.cli import main


@pytest.fixture
def broker(tmp_path):
    running = BrokerProcess(tmp_path / "broker").start()
    yield running
    running.kill()


def test_init_makes_stream_and_consumer_and_says_what_they_promise(broker, capsys):
    monitoring = f"http://127.0.0.1:{broker.monitoring}"
    flags = ["--nats-url", broker.url, "--nats-monitoring-url", monitoring, "--max-bytes", "100000000"]
    assert main(["outbox", "init", *flags]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "stream sgtm: made",
        "stream sgtm-dead: made",
        "stream KV_sgtm-context: made",
        "consumer deliver: ready",
        "nats: survives kill -9 and a power cut",
    ]
    assert main(["outbox", "init", "--nats-url", broker.url, "--max-bytes", "100000000"]) == 0
    out = capsys.readouterr().out
    assert "stream sgtm: as it should be" in out
    assert "give --nats-monitoring-url" in out


def test_a_broker_that_is_not_there_is_an_error_in_one_line(broker, capsys, monkeypatch):
    monkeypatch.setattr("sgtm.delivery.outbox.nats_setup.OPEN_S", 0.5)
    broker.kill()
    assert main(["outbox", "init", "--nats-url", broker.url]) == 2
    assert "is it running" in capsys.readouterr().err
