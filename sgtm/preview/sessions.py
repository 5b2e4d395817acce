"""Sessions: who looks at which requests, and until when.

A session's token is 192 random bits that are shown once, to whoever opened it; here and in the workers only
its digest is known. Another session's requests are behind another token and another id, so nobody sees what
he did not send (SPEC: requirements R223, R300).
"""

import hashlib
import secrets
from typing import Literal

from msgspec import Struct

from sgtm.errors import SgtmError

LOOK_BACK = "lookback"
"""Id of what everybody who may log in sees: the sample of requests of production, masked."""
MAX_SESSIONS = 10
MOST_TOKEN = 200

Which = Literal["published", "draft"]


class TooManySessions(SgtmError):
    """No further session is opened."""

    def __init__(self) -> None:
        super().__init__(f"there are {MAX_SESSIONS} sessions", mend="end one, or wait until one expires")


class Session(Struct, frozen=True):
    """One session, as supervisor and workers know it."""

    id: str
    digest: str
    """Of its token; see `digest_of`."""
    expires_micros: int
    """Unix time from which it takes no requests and shows none."""
    container: Which = "published"
    sends: bool = True
    """Whether its requests are really sent to vendors."""


def digest_of(token: str) -> str:
    """What a token is known by."""
    return hashlib.blake2b(token[:MOST_TOKEN].encode("utf-8", "replace"), digest_size=16).hexdigest()


class Sessions:
    """The sessions of a server, up to MAX_SESSIONS."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def open(self, now_micros: int, life_s: float, container: Which, sends: bool) -> tuple[Session, str]:
        """A new session and its token. Raises TooManySessions."""
        if len(self._sessions) >= MAX_SESSIONS:
            raise TooManySessions
        token = secrets.token_urlsafe(24)
        expires_micros = now_micros + int(life_s * 1_000_000)
        session = Session(secrets.token_hex(8), digest_of(token), expires_micros, container, sends)
        self._sessions[session.id] = session
        return session, token

    def get(self, id: str, now_micros: int) -> Session | None:
        """The session of this id, if it has not expired."""
        session = self._sessions.get(id)
        return session if session is not None and now_micros < session.expires_micros else None

    @property
    def ids(self) -> list[str]:
        """Of all sessions, the oldest first."""
        return list(self._sessions)

    def close(self, id: str) -> bool:
        """Forget it; whether it was there."""
        return self._sessions.pop(id, None) is not None
