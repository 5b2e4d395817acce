"""Names: the addresses that a host's name leads to, asked for once, kept for a few seconds.

What is kept is judged at each connect all the same (`egress.py`). SPEC: reliability 3, rule 3.
"""

import asyncio
import socket
from collections import OrderedDict

from aiohttp import AddrInfoType, ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult

from sgtm.delivery.addresses import read_address
from sgtm.delivery.egress import DNS_CACHE_S

MAX_NAMES = 1_000
SETTLE_TIMEOUT_S = 1.0

Addresses = list[AddrInfoType]


class Names:
    """Made inside the event loop that it works in."""

    def __init__(self, resolver: AbstractResolver | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._resolver = resolver or ThreadedResolver()
        self._kept: OrderedDict[tuple[str, int], tuple[float, Addresses]] = OrderedDict()
        self._asking: dict[tuple[str, int], asyncio.Task[Addresses]] = {}

    async def addresses(self, host: str, port: int) -> Addresses:
        """The addresses of a host; of several another one is first each time. Raises OSError, UnicodeError.

        An address is its own; no other text is ever taken for one."""
        if (address := read_address(host)) is not None:
            return [_address_info(str(address), port)]
        key = (host, port)
        until, found = self._kept.get(key, (0.0, []))
        if self._loop.time() < until:
            self._kept[key] = (until, found[1:] + found[:1])
            return found
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = self._loop.create_task(self._ask(key))
            asking.add_done_callback(_retrieve)
        return await asyncio.shield(asking)

    async def settle(self) -> None:
        """Wait a little for the questions under way, which end by themselves."""
        if self._asking:
            await asyncio.wait(self._asking.values(), timeout=SETTLE_TIMEOUT_S)

    async def _ask(self, key: tuple[str, int]) -> Addresses:
        host, port = key
        try:
            answers = await self._resolver.resolve(host, port, socket.AF_UNSPEC)
        finally:
            del self._asking[key]
        found = [_info(answer) for answer in answers]
        if len(self._kept) >= MAX_NAMES:
            self._kept.popitem(last=False)
        self._kept[key] = (self._loop.time() + DNS_CACHE_S, found[1:] + found[:1])
        return found


def _info(answer: ResolveResult) -> AddrInfoType:
    host, port = answer["host"], answer["port"]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    name = (host, port, 0, 0) if family == socket.AF_INET6 else (host, port)
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", name)


def _address_info(address: str, port: int) -> AddrInfoType:
    return _info(ResolveResult(hostname=address, host=address, port=port, family=0, proto=0, flags=0))


def _retrieve(asking: "asyncio.Task[Addresses]") -> None:
    """The error is for who waits; if nobody does any more, for nobody."""
    if not asking.cancelled():
        asking.exception()
