"""What `sgtm doctor` looks at in a running server, asked through its admin listener."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sgtm import __version__
from sgtm.cli import _admin
from sgtm.cli._findings import Finding, error, good, warning
from sgtm.errors import SgtmError
from sgtm.server.admin_health import Overview
from sgtm.server.crew import Destination
from sgtm.server.data_folder import TOKEN_FILE
from sgtm.settings import Settings

CLOCK_S = 2.0
DURABLE = 2
"""See OutboxState.durability."""


def server(settings: Settings, version: str) -> Iterator[Finding]:
    """How it is; `version` is that of the container in the file, "" where there is none."""
    where = "running server"
    if not os.environ.get("SGTM_ADMIN_TOKEN") and not (Path(settings.data_folder) / TOKEN_FILE).exists():
        mend = "if one runs, give its --data-folder, or SGTM_ADMIN_TOKEN"
        yield warning(where, "no server has served from this data folder", mend)
        return
    try:
        answer = _admin.ask(settings, "GET", "/overview")
        found = msgspec.convert(answer.body, Overview) if answer.status == 200 else None
    except msgspec.ValidationError:
        found = None
    except SgtmError as problem:
        yield error(where, f"{problem}", "start it, or see its log")
        return
    if found is None:
        yield error(where, "answers as another release does", "restart it with this one")
        return
    yield from _release(found, version)
    if abs(found.at_s - time.time()) > CLOCK_S:
        yield warning("clock", "the server's is another one", "do both run on this machine?")
    yield from _workers(found)
    yield from (finding for one in found.destinations for finding in _destination(one))
    yield from _outbox(found)


def _release(found: Overview, version: str) -> Iterator[Finding]:
    where = "running server"
    if found.release != __version__:
        mend = "restart it (SIGUSR1 restarts the workers; the supervisor needs a restart of the service)"
        yield warning(where, f"is sgtm {found.release}, installed is {__version__}", mend)
    else:
        yield good(where, f"answers, sgtm {found.release}")
    if version and version != found.version:
        what = f"serves version {found.version}, in the file is {version}"
        yield warning("container", what, "reload it: kill -HUP, POST /reload, or serve with --watch")


def _workers(found: Overview) -> Iterator[Finding]:
    if found.missing:
        yield error("workers", f"{found.missing} do not answer", "see the log: `a worker died`")
    for worker in found.workers:
        if not worker.is_ready:
            yield error(
                f"worker {worker.slot}", ", ".join(worker.because), "docs/runbooks.md says what to do"
            )
    ready = sum(worker.is_ready for worker in found.workers)
    if ready == len(found.workers) and not found.missing:
        yield good("workers", f"{ready} of {ready} ready")


def _destination(one: Destination) -> Iterator[Finding]:
    where = f"destination {one.destination} {one.credential}".strip()
    if one.refused_tags:
        what = f"refuses what {', '.join(one.refused_tags)} shows it"
        yield error(where, what, "put a good token in the place of the old one; it is tried again by itself")
    elif one.state == "shut":
        what = f"is shut, {one.queued} wait: {one.last_error or one.reason}"
        yield warning(where, what, "nothing is lost meanwhile; see docs/runbooks.md#a-vendor-fails")
    else:
        yield good(where, f"{one.state}, {one.done} done, {one.failed} failed")


def _outbox(found: Overview) -> Iterator[Finding]:
    states = [worker.outbox for worker in found.workers if worker.outbox is not None]
    if not states:
        return
    least = min(state.durability for state in states)
    if least < DURABLE:
        what = "what waits is lost with the " + ("machine" if least else "process")
        yield warning("outbox", what, "--outbox sqlite with a --data-folder on a disk")
    else:
        yield good("outbox", f"{states[0].engine}, {sum(state.records for state in states)} records wait")
    letters, suspects = sum(state.letters for state in states), sum(state.suspects for state in states)
    if letters:
        mend = "sgtm deadletters list says why; mend it, then sgtm deadletters replay"
        yield warning("dead letters", f"{letters} wait for somebody", mend)
    if suspects:
        yield warning("outbox", f"{suspects} files were set aside", "docs/degradation.md says what it is")
