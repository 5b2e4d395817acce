"""Opens what tells of requests: the log's lines, and traces if `--trace-endpoint` asks for them.

Without that nothing of OpenTelemetry is imported.
"""

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from sgtm.errors import SettingsError
from sgtm.observability.request_log import RequestLog
from sgtm.observability.trace import Tracers
from sgtm.settings import Settings

if TYPE_CHECKING:
    from sgtm.observability.spans import Spans


class WorkerTracers(Tracers):
    """The tracers of one worker. Raises SettingsError, see `require_tracing`."""

    def __init__(self, settings: Settings, slot: int) -> None:
        require_tracing(settings)
        self.log = RequestLog(settings.log_requests)
        """Its share may be changed."""
        self._spans: Spans | None = None
        if settings.trace_endpoint:
            self._spans = import_module("sgtm.observability.spans").Spans(settings, slot)
        super().__init__(self.log, *([self._spans] if self._spans is not None else []))

    async def close(self) -> None:
        """Send what is left of the traces, some seconds at most."""
        if self._spans is not None:
            await asyncio.to_thread(self._spans.close)


def require_tracing(settings: Settings) -> None:
    """Raises SettingsError where traces are wanted, and OpenTelemetry is not there."""
    if not settings.trace_endpoint:
        return
    try:
        import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        import_module("opentelemetry.sdk.trace")
    except ImportError:
        what, mend = "needs OpenTelemetry, which is not installed", "pip install 'sgtm[otel]'"
        raise SettingsError(what, where="--trace-endpoint", mend=mend) from None
