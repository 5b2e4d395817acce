"""A process that asks and asks: python load_client.py PORT FRESH KEPT

FRESH requesters open a connection for each request, KEPT ones keep theirs until it says `close`.
It ends when its stdin does, and prints what it saw: {"answers": .., "failures": [..]}.
"""

import asyncio
import json
import sys

REQUEST = b"POST /data HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 18\r\n\r\n" + b'{"event_name":"x"}'


class Load:
    def __init__(self, port: int) -> None:
        self.port = port
        self.answers = 0
        self.failures: list[str] = []
        self.is_over = False

    async def requester(self, *, keeps: bool) -> None:
        while not self.is_over:
            try:
                async with asyncio.timeout(20):
                    await self._connection(keeps=keeps)
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                self.failures.append(repr(error))

    async def _connection(self, *, keeps: bool) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            while True:
                writer.write(REQUEST)
                head = await reader.readuntil(b"\r\n\r\n")
                status, _, headers = head.partition(b"\r\n")
                if b" 2" not in status[8:10]:
                    self.failures.append(status.decode())
                length = headers.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length or 0))
                self.answers += 1
                if self.is_over or not keeps or b"connection: close" in headers.lower():
                    return
                await asyncio.sleep(0.002)
        finally:
            writer.close()


async def main(port: int, fresh: int, kept: int) -> None:
    load = Load(port)
    requesters = [load.requester(keeps=number < kept) for number in range(fresh + kept)]
    running = asyncio.gather(*requesters)
    await asyncio.to_thread(sys.stdin.read)
    load.is_over = True
    await running
    print(json.dumps({"answers": load.answers, "failures": load.failures}))


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:4])))
