"""Scripts served first-party: from a copy, and from the upstream when the copy has aged.

    fresh copy -> answer | aged -> answer, refresh behind it | too old -> refresh, then answer
    the upstream fails -> the old copy, an error in the log and a count; no copy -> 502

A script that nobody has listed is served where one that is served names its id (`Dependency`).

The page's own fallback (`onerror`) takes over on 502. One fetch per script at a time, however many ask;
after a failure nobody asks for RETRY_S. SPEC: requirements E18, R202, R254, R292.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from pathlib import Path

from msgspec.structs import replace

from sgtm.answers import NO_STORE
from sgtm.delivery.egress import Egress
from sgtm.messages import Answer, Dependency, IncomingRequest, ServeScript
from sgtm.observability.metrics import Counters
from sgtm.server.script_cache import CopiesInMemory, CopiesOnDisk, Copy
from sgtm.server.script_copies import encoded, has_free_text, key_of, make_copy
from sgtm.server.script_upstream import Upstream, UpstreamFailed
from sgtm.settings import Settings

log = logging.getLogger("sgtm.server")

RETRY_S = 10.0
"""How long a failure is believed before the upstream is asked again."""
PATIENCE_S = 1.0
"""How long a visitor waits for a new copy while there is an old one."""
STALE_MAX_AGE_S = 60
"""How long a browser may keep an old copy that was served because the upstream failed."""
MAX_FETCHES = 32
"""Of scripts that are not kept yet, or never. As many again are for those that are: whoever asks for ever
new queries or previews does not hold up the renewal of what pages load."""
MAX_FAILURES = 1024
MAX_NAMED = 4096

_FOR_ALL = (("X-Content-Type-Options", "nosniff"), ("Cross-Origin-Resource-Policy", "cross-origin"))
_VARY = ("Vary", "Accept-Encoding")


class Scripts:
    """Serves scripts for one worker."""

    def __init__(self, settings: Settings, counters: Counters, egress: Egress) -> None:
        self.now = time.time
        self._counters, self._stale_s = counters, settings.script_stale_s
        self._upstream = Upstream(settings.script_upstream, egress)
        self.copies = CopiesInMemory(settings.script_cache_bytes)
        self._disk = CopiesOnDisk(Path(settings.script_folder)) if settings.script_folder else None
        self._fetches: dict[str, asyncio.Task[Copy | None]] = {}
        self._failures: OrderedDict[str, float] = OrderedDict()
        """Key -> when the upstream may be asked again."""
        self._named: OrderedDict[str, None] = OrderedDict()
        """Ids that scripts have named, previews too, the latest last."""

    async def start(self) -> None:
        """Take up the copies of an earlier run."""
        if self._disk is not None:
            gone = []
            for copy in await asyncio.to_thread(self._disk.load):
                gone += self.copies.put(copy)
                self._note_names(copy)
            await asyncio.to_thread(self._disk.write, None, gone)

    async def close(self) -> None:
        """Give up what is being fetched."""
        fetches = list(self._fetches.values())
        for fetch in fetches:
            fetch.cancel()
        if fetches:
            await asyncio.wait(fetches)
        await self._upstream.close()

    async def serve(self, script: ServeScript, request: IncomingRequest) -> Answer:
        """The script, 502 where there is none to serve, 400 where it is no dependency after all."""
        if script.dependency is not None and not await self._is_named(script.dependency):
            return Answer(400, (NO_STORE,))
        copy, source = await self._current(script)
        self._counters.add("sgtm_scripts_served_total", source)
        if copy is None:
            return Answer(502, (NO_STORE, ("Retry-After", f"{RETRY_S:.0f}")))
        return self._answer(script, copy, request, source)

    async def _current(self, script: ServeScript) -> tuple[Copy | None, str]:
        """The best copy that can be had, and where it is from, as `sgtm_scripts_served_total` says."""
        copy = None if script.is_preview else self.copies.get(key_of(script))
        age_s = self._age_s(copy)
        if copy is not None and age_s < script.max_age_s + script.stale_while_revalidate_s:
            if age_s >= script.max_age_s:
                self._fetch(script, copy)
            return copy, "copy"
        fetch = self._fetch(script, copy)
        if fetch is not None:
            await asyncio.wait([fetch], timeout=None if copy is None else PATIENCE_S)
            new = fetch.result() if fetch.done() and not fetch.cancelled() else None
            if new is not None:
                return new, "upstream"
        if copy is not None and age_s < script.max_age_s + self._stale_s:
            return copy, "stale"
        return None, "none"

    async def _is_named(self, dependency: Dependency) -> bool:
        """Whether a script that this server serves names the id."""
        if dependency.id in self._named:
            self._named.move_to_end(dependency.id)
            return True
        for parent in dependency.parents:
            copy, _ = await self._current(parent)
            if copy is not None and dependency.id in copy.names:
                return True
        return False

    def _note_names(self, copy: Copy) -> None:
        for name in copy.names:
            self._named[name] = None
            self._named.move_to_end(name)
        while len(self._named) > MAX_NAMED:
            self._named.popitem(last=False)

    def _age_s(self, copy: Copy | None) -> float:
        """Seconds since the copy was current; a clock that was set back makes it older, not younger."""
        return abs(self.now() - copy.checked_s) if copy is not None else 0.0

    # -- the answer ------------------------------------------------------------------------------

    def _answer(self, script: ServeScript, copy: Copy, request: IncomingRequest, source: str) -> Answer:
        headers = [("Content-Type", copy.content_type), *_cache_headers(script, source, self._age_s(copy))]
        coding, body = encoded(copy, request) if script.compress else ("", copy.body)
        if coding:
            headers.append(("Content-Encoding", coding))
        return Answer(200, (*headers, _VARY, *_FOR_ALL), body)

    # -- the upstream ----------------------------------------------------------------------------

    def _fetch(self, script: ServeScript, copy: Copy | None) -> asyncio.Task[Copy | None] | None:
        """The fetch under way for this script, a new one, or None where the upstream is not asked now."""
        key = key_of(script)
        fetch = self._fetches.get(key)
        if fetch is not None:
            return fetch
        most = MAX_FETCHES if copy is None else 2 * MAX_FETCHES
        if self._failures.get(key, 0.0) > self.now() or len(self._fetches) >= most:
            return None
        fetch = self._fetches[key] = asyncio.ensure_future(self._refresh(script, copy))
        fetch.add_done_callback(lambda _: self._fetches.pop(key, None))
        return fetch

    async def _refresh(self, script: ServeScript, copy: Copy | None) -> Copy | None:
        """The current script, kept unless it is somebody's preview; None if the upstream failed."""
        key = key_of(script)
        try:
            fetched = await self._upstream.fetch(script, copy.etag if copy is not None else "")
        except UpstreamFailed as error:
            self._failed(script, key, copy, error.what)
            return None
        self._failures.pop(key, None)
        if fetched is not None:
            new = await asyncio.to_thread(make_copy, script, fetched, self.now())
        elif copy is not None:
            new = replace(copy, checked_s=self.now())
        else:
            return None  # cannot be: without a copy nobody asks whether it is still good
        self._note_names(new)
        if not script.is_preview:
            gone = self.copies.put(new)
            if self._disk is not None:  # nothing of a visitor's goes to the disk
                kept = None if has_free_text(script) else new
                await asyncio.to_thread(self._disk.write, kept, gone)
        return new

    def _failed(self, script: ServeScript, key: str, copy: Copy | None, reason: str) -> None:
        """Say it, count it, and remember it for a while."""
        self._counters.add("sgtm_script_upstream_failures_total", script.path)
        age = {"age_s": round(self._age_s(copy))} if copy is not None else {}
        log.error(
            "the upstream of a script failed",
            extra={"path": script.path, "reason": reason, "has_old_copy": copy is not None, **age},
        )
        self._failures[key] = self.now() + RETRY_S
        self._failures.move_to_end(key)
        if len(self._failures) > MAX_FAILURES:
            self._failures.popitem(last=False)


def _cache_headers(script: ServeScript, source: str, age_s: float) -> list[tuple[str, str]]:
    """SPEC: E18, R254. `Age`, so that our time with the copy counts too (RFC 9111, 5.1)."""
    if script.is_preview:
        return [NO_STORE]
    if source == "stale":
        return [("Cache-Control", f"public, max-age={STALE_MAX_AGE_S}")]
    said = f"public, max-age={script.max_age_s}"
    if script.stale_while_revalidate_s:
        said += f", stale-while-revalidate={script.stale_while_revalidate_s}"
    return [("Cache-Control", said), ("Age", f"{age_s:.0f}")]
