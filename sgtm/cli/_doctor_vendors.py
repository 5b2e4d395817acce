"""What `sgtm doctor --vendors` looks at: can the destinations of the container be reached from here?"""

import asyncio
from collections.abc import Iterable

from sgtm.cli._findings import Finding, error, good, warning
from sgtm.delivery.connection import Connection
from sgtm.delivery.dialing import Dialer
from sgtm.delivery.egress import Egress
from sgtm.delivery.errors import Refused, SendError
from sgtm.delivery.tls import verified_context
from sgtm.settings import Settings

CONNECT_S = 5.0
AT_ONCE = 8


def vendors(destinations: Iterable[tuple[str, int]], needed: str, settings: Settings) -> list[Finding]:
    """A finding for each (host, port): its name is looked up, it is connected to through the egress door as
    the server would, and on port 443 its certificate is verified. Nothing is sent. A host that does not
    stand in `needed` is one that a type of the container may use, as Google's for tokens: no error then."""
    return asyncio.run(_all(sorted(destinations), needed, settings))


async def _all(destinations: list[tuple[str, int]], needed: str, settings: Settings) -> list[Finding]:
    egress = Egress(
        settings.egress_allow,
        destinations=destinations,
        is_airgapped=settings.airgapped,
        proxy=settings.egress_proxy,
        sources=settings.egress_sources,
    )
    dialer, turns = Dialer(egress, verified_context(), CONNECT_S), asyncio.Semaphore(AT_ONCE)

    async def one(host: str, port: int) -> Finding:
        async with turns:
            found = await _look(egress, dialer, host, port)
        if found.level == "error" and host not in needed:
            return warning(found.where, f"{found.what}; only some settings of a tag need it", found.mend)
        return found

    return list(await asyncio.gather(*(one(*destination) for destination in destinations)))


async def _look(egress: Egress, dialer: Dialer, host: str, port: int) -> Finding:
    where = f"destination {host}:{port}"
    try:
        passage = egress.admit_host(host, port)
        scheme = "https" if port == 443 else "http"  # elsewhere nobody knows whether TLS is spoken
        connection = await dialer.dial((scheme, host, port), passage, _connection)
    except Refused as problem:
        return error(where, problem.what, problem.mend)
    except SendError as problem:
        return error(where, problem.what, "look at DNS, firewall and --egress-proxy of this machine")
    connection.abort()
    return good(where, "is reached" + (", its certificate is good" if port == 443 else ""))


def _connection() -> Connection:
    """One that nobody uses, so that nobody wants to hear of it."""
    return Connection(lambda _: None, lambda _: None)
