"""What a server answers that only delivers: nothing but health, which never comes here."""

from sgtm.answers import NO_STORE
from sgtm.container.container import Endpoint
from sgtm.messages import Answer, IncomingRequest
from sgtm.observability.walk import Walk

_NOTHING = Answer(404, (NO_STORE,))


class NothingServed:
    """See application.Runs. For `--role deliver`."""

    def run(self, request: IncomingRequest, walk: Walk | None = None) -> Answer:
        """404."""
        return _NOTHING

    def endpoint(self, path: str, host: str) -> Endpoint | None:
        """Nobody's."""
        return None

    def refuse(self, request: IncomingRequest) -> Answer | None:
        """404, before anything is parsed."""
        return _NOTHING

    def drop(self, request: IncomingRequest) -> Answer:
        """404."""
        return _NOTHING
