"""A real broker in a process of its own: `nats-server` of the wheel, on loopback, with its own folder."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from sgtm.delivery.outbox.nats_setup import Setup, set_up
from sgtm.settings import Settings

SERVER = Path(sys.executable).with_name("nats-server")
CONFIG = """
host: 127.0.0.1
port: {port}
http: 127.0.0.1:{monitoring}
max_payload: 2MB
jetstream {{ store_dir: "{store}", sync_interval: {sync}, max_file_store: 1GB }}
{more}
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class BrokerProcess:
    """It keeps its port and its folder, however often it is killed and started."""

    def __init__(self, folder, *, sync="always", more=""):
        self.folder, self.store = folder, folder / "store"
        self.port, self.monitoring = free_port(), free_port()
        self.process = None
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "nats.conf"
        self.config.write_text(
            CONFIG.format(port=self.port, monitoring=self.monitoring, store=self.store, sync=sync, more=more)
        )

    @property
    def url(self):
        return f"nats://127.0.0.1:{self.port}"

    def settings(self, **said):
        known = {
            "outbox": "nats",
            "nats_urls": (self.url,),
            "nats_monitoring_urls": (f"http://127.0.0.1:{self.monitoring}",),
        }
        return Settings(**{**known, **said})

    def flags(self):
        """The same for `sgtm serve`."""
        monitoring = f"http://127.0.0.1:{self.monitoring}"
        return ("--outbox", "nats", "--nats-url", self.url, "--nats-monitoring-url", monitoring)

    def start(self, wrapper=()):
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            command = [*wrapper, str(SERVER), "-c", str(self.config)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as peer:
                if peer.recv(4) == b"INFO":
                    return self
            time.sleep(0.02)
        raise AssertionError((self.folder / "log").read_text()[-2_000:])

    def send(self, number):
        os.kill(self.process.pid, number)

    def kill(self):
        """kill -9."""
        if self.process is not None and self.process.poll() is None:
            self.send(signal.SIGCONT)
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def wipe(self):
        """Its disk is lost."""
        shutil.rmtree(self.store)

    async def init(self, **chosen):
        """`sgtm outbox init`."""
        return await set_up(self.settings(), Setup(**{"max_bytes": 64 * 2**20, "ack_wait_s": 3.0, **chosen}))
