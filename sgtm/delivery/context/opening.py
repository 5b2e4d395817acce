"""Opening: the context store that goes with the outbox."""

from importlib import import_module
from pathlib import Path

from sgtm.delivery.context import ContextStore
from sgtm.delivery.context.file import Bounds
from sgtm.delivery.context.sqlite import FILE_NAME, SqliteContext
from sgtm.delivery.outbox import Outbox
from sgtm.observability.metrics import Counters
from sgtm.settings import Settings

MOST_OF_BROKER = 200
"""Events that may wait in a deliverer: each keeps the message that it came in, and those are counted."""


def open_context(settings: Settings, outbox: Outbox, counters: Counters) -> ContextStore:
    """A file in the data folder, or with the engine `nats` a bucket of its broker. Nothing is opened before
    something is asked of it."""
    if settings.outbox == "nats":
        module = import_module("sgtm.delivery.context.nats")  # an optional package, and a slow one
        store: ContextStore = module.NatsContext.beside(outbox, counters)
        return store
    bounds = Bounds(settings.context_entries, settings.context_bytes)
    return SqliteContext(Path(settings.data_folder) / FILE_NAME, bounds, counters)


def most_waiting(settings: Settings) -> int:
    """How many events of a worker may wait for their counterpart."""
    most = settings.context_waiting
    return min(most, MOST_OF_BROKER) if settings.outbox == "nats" else most
