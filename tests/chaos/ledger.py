"""The ledger of a run with faults: what was acknowledged against what the vendors received."""

import asyncio
import contextlib
import json
from collections import Counter

from raw_http import RawConnection, request

PATHS = ("/a", "/b")
"""Where each hit has to arrive."""


class Ledger:
    """Visitors who write down what was answered, and the comparison at the end."""

    def __init__(self, vendor):
        self.vendor = vendor
        self.acknowledged, self.statuses = set(), Counter()
        self._names = iter(range(10**9))

    async def load(self, port, until, visitors):
        """Visitors on kept connections, until the event is set."""

        async def visit():
            while not until.is_set():
                try:
                    async with RawConnection(port) as connection, asyncio.timeout(40):
                        await self._visit(connection, until)
                except (OSError, asyncio.IncompleteReadError):
                    await asyncio.sleep(0.01)

        await asyncio.gather(*(visit() for _ in range(visitors)))

    async def _visit(self, connection, until):
        while not until.is_set():
            name = f"hit-{next(self._names)}"
            body = json.dumps({"event_name": "x", "id": name}).encode()
            connection.send(request("/data", method="POST", body=body))
            answer = await connection.read_answer()
            self.statuses[answer.status] += 1
            if answer.status // 100 == 2:
                self.acknowledged.add(name)
            else:
                await asyncio.sleep(0.01)
            if answer.header("Connection") == "close":
                break

    def received(self, path):
        """Bodies of the accepted requests, by the hit's name."""
        bodies = {}
        for received in self.vendor.requests(path):
            if received.status // 100 == 2:
                bodies.setdefault(received.json()["id"], []).append(received.body)
        return bodies

    async def all_arrived(self):
        """Wait until everything acknowledged has arrived, within a bound; `copies` tells if it has."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60 + len(self.acknowledged) / 100):
                while any(self.acknowledged - self.received(path).keys() for path in PATHS):  # noqa: ASYNC110
                    # the vendor lives in this process: comparing holds it up, so it has most of the time
                    await asyncio.sleep(0.1 + len(self.acknowledged) / 5_000)

    def copies(self):
        """How many came more than once, by path. Nothing is missing, and copies are equal."""
        copies = Counter()
        for path in PATHS:
            received = self.received(path)
            assert self.acknowledged - received.keys() == set(), f"lost at {path}"
            for name, bodies in received.items():
                assert len(set(bodies)) == 1, f"{name} came with different bodies"
                copies[path] += len(bodies) - 1
        return dict(copies)
