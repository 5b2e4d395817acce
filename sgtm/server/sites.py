"""Which hosts are served, and below which path: what a request's address must be.

A prefix is taken off here, so that nothing behind the server knows it; it comes back into what is
written for the browser (`answers.py`), which learns it from the request. It does not matter whether
a proxy has taken it off already. SPEC: requirements R12, R13, R291.
"""

from msgspec import Struct

from sgtm.container.container import Hosts
from sgtm.settings import Settings


class Sites(Struct, frozen=True):
    """The addresses of one server."""

    prefix: str = ""
    """`/metrics-x`, without a slash at its end; empty: the server has the whole of its hosts."""
    hosts: Hosts | None = None
    """None: any host."""

    @classmethod
    def of(cls, settings: Settings) -> "Sites":
        """What the settings say."""
        names = settings.host_names
        return cls(settings.path_prefix, Hosts.of(names) if names else None)

    def path_inside(self, path: str) -> str:
        """The path as clients know it. Both are compared as on the wire."""
        prefix = self.prefix
        if not prefix or not path.startswith(prefix):
            return path
        rest = path[len(prefix) :]
        return rest if rest.startswith("/") else (path if rest else "/")

    def serves(self, host: str) -> bool:
        """Whether a request for this canonical host is answered."""
        return self.hosts is None or self.hosts.serves(host)


EVERYWHERE = Sites()
"""Any host, the whole of it."""
