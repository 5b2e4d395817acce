"""Earlier containers: a record runs again with the version that it met, where that is kept.

Versions are kept as sources (`container/versions.py`) and compiled when a record names one: in a thread,
once, and the last few stay compiled. A version that is gone, or whose environment is, gives way to the
container of today, and that is counted (SPEC: design.md, Delivery).
"""

import asyncio
import logging
from collections.abc import Callable

from sgtm.container.compile import load_container
from sgtm.container.container import Container
from sgtm.container.versions import Versions
from sgtm.errors import SgtmError
from sgtm.observability.metrics import Counters

log = logging.getLogger("sgtm.server")

COMPILED = 3
"""Left-over records are of one version or two; more are compiled again when their turn comes."""


class EarlierContainers:
    """The containers that records name. `follow` is told of each that is compiled, since its credentials
    and destinations are wanted again."""

    def __init__(self, versions: Versions, follow: Callable[[Container], None], counters: Counters) -> None:
        self._versions, self._follow, self._counters = versions, follow, counters
        self._known: dict[str, Container | None] = {}
        """The last few, also those that there are not; the oldest first."""

    async def of(self, version: str, today: Container) -> Container:
        """The container of that version, or today's. Never raises."""
        if version == today.version:
            return today
        if version not in self._known:
            while len(self._known) >= COMPILED:
                del self._known[next(iter(self._known))]
            self._known[version] = await self._compiled(version)
        container = self._known[version]
        self._counters.add(
            "sgtm_records_of_earlier_versions_total", "today's" if container is None else "its own"
        )
        return today if container is None else container

    async def _compiled(self, version: str) -> Container | None:
        try:
            container = await asyncio.to_thread(self._load, version)
        except (SgtmError, OSError) as error:
            extra = {"version": version, "reason": str(error)}
            log.warning("records of an earlier version run with the container of today", extra=extra)
            return None
        self._follow(container)
        return container

    def _load(self, version: str) -> Container:
        path = self._versions.find(version).path
        return load_container(path, source=path.read_bytes())
