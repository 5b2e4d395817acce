"""Access tokens: got when the first request needs one, kept until shortly before they expire.

One exchange at a time for each credential, however many requests wait for it. A token belongs to the
secrets that it was got with: a rotated secret, or a changed file, gets a new one at once. What the
endpoint refused or could not say is not asked again within a second.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from msgspec import Struct

from sgtm.delivery.clock import Clock
from sgtm.delivery.credentials import Credentials
from sgtm.delivery.errors import CredentialMissing, CredentialRefused, SendError, TokenUnavailable
from sgtm.delivery.grants import form_of, read_grant, says
from sgtm.messages import CredentialUse, MadeBy, OAuth2Refresh, VendorAnswer

log = logging.getLogger("sgtm.delivery")

EXCHANGE_TIMEOUT_S = 10.0
"""Of one exchange; a request waits no longer than its own time-out."""
MARGIN_S, MARGIN_SHARE = 60.0, 0.1
"""A token is renewed so long before it expires: the smaller of the two."""
REPLACE_AGAIN_S = 30.0
"""A 401 makes a new token at most so often: an endpoint is not asked for each event of a tag that
lacks some right."""
ASK_AGAIN_S = 1.0
MAX_KEPT = 1_000

Post = Callable[[str, tuple[tuple[str, str], ...], bytes, float], Awaitable[VendorAnswer]]


class _Failure(Struct, frozen=True):
    """Why there is no token; each request that waited raises an error of its own."""

    kind: type[SendError]
    what: str
    mend: str


class _Kept:
    """What is known of one credential with one set of secrets (the refresh token is the last)."""

    __slots__ = ("failure", "flight", "good_until", "refresh_token", "replaceable_at", "secrets", "token")

    def __init__(self, secrets: tuple[str, ...], refresh_token: str) -> None:
        self.secrets = secrets
        self.token = ""
        self.good_until = float("-inf")
        """Monotonic seconds until which `token` is used or, without one, `failure` is believed."""
        self.failure: _Failure | None = None
        self.refresh_token = refresh_token
        """The endpoint's latest, where it changes with each use."""
        self.replaceable_at = float("-inf")
        self.flight: asyncio.Task[str | _Failure] | None = None


class Tokens:
    """All access tokens of a sender, which posts for it (`post` raises only SendError)."""

    def __init__(self, credentials: Credentials, post: Post, clock: Clock) -> None:
        self._credentials, self._post, self._clock = credentials, post, clock
        self._kept: dict[MadeBy, _Kept] = {}
        self._flights: set[asyncio.Task[str | _Failure]] = set()

    async def token(self, use: CredentialUse, made_by: MadeBy, deadline: float) -> str:
        """A token that has not expired; `deadline` is on the event loop's clock.

        Raises CredentialMissing, CredentialRefused or TokenUnavailable."""
        kept = self._keep(made_by)
        if self._clock.now() < kept.good_until:
            found = kept.failure or kept.token
        else:
            try:
                async with asyncio.timeout_at(deadline):
                    found = await asyncio.shield(kept.flight or self._start(made_by, kept))
            except TimeoutError:
                found = _Failure(TokenUnavailable, "no access token in time", "")
        if isinstance(found, str):
            return found
        raise found.kind(found.what, where=f"credential {use.name!r}", mend=found.mend)

    def may_replace(self, made_by: MadeBy, token: str) -> bool:
        """A destination said 401 to `token`, which is forgotten; False if it must do all the same."""
        kept = self._kept.get(made_by)
        if kept is None or kept.token != token:
            return True  # another request has seen to it
        now = self._clock.now()
        if now < kept.replaceable_at:
            return False
        kept.token, kept.good_until = "", float("-inf")
        kept.replaceable_at = now + REPLACE_AGAIN_S
        return True

    async def settle(self) -> None:
        """Wait for the exchanges under way (once no more can be sent they end by themselves)."""
        await asyncio.gather(*self._flights, return_exceptions=True)

    def _keep(self, made_by: MadeBy) -> _Kept:
        secrets = tuple(map(self._credentials.value, made_by.secrets))
        kept = self._kept.get(made_by)
        if kept is None or kept.secrets != secrets:
            if len(self._kept) >= MAX_KEPT:
                self._kept.pop(next(iter(self._kept)))
            refresh_token = kept.refresh_token if kept and kept.secrets[-1] == secrets[-1] else ""
            kept = self._kept[made_by] = _Kept(secrets, refresh_token)
        return kept

    def _start(self, made_by: MadeBy, kept: _Kept) -> "asyncio.Task[str | _Failure]":
        kept.flight = asyncio.get_running_loop().create_task(self._fly(made_by, kept))
        self._flights.add(kept.flight)
        kept.flight.add_done_callback(self._flights.discard)
        return kept.flight

    async def _fly(self, made_by: MadeBy, kept: _Kept) -> "str | _Failure":
        """One exchange. Its result is for all who wait, even if the token lives for no time at all."""
        began = self._clock.now()
        try:
            await self._exchange(made_by, kept, began)
            return kept.token
        except SendError as error:
            kept.failure, kept.token = _failure(error), ""
            kept.good_until = self._clock.now() + ASK_AGAIN_S
            if error.what == says("invalid_grant"):
                kept.refresh_token = ""  # void: the configured one may have been renewed elsewhere
            return kept.failure
        finally:
            kept.flight = None

    async def _exchange(self, made_by: MadeBy, kept: _Kept, began: float) -> None:
        secrets = (*kept.secrets[:-1], kept.refresh_token or kept.secrets[-1])
        url, headers, body = form_of(made_by, secrets, self._clock.unix_micros() // 1_000_000)
        grant = read_grant(await self._post(url, headers, body, EXCHANGE_TIMEOUT_S))
        kept.failure, kept.token = None, grant.token
        kept.good_until = began + grant.life_s - min(MARGIN_S, MARGIN_SHARE * grant.life_s)
        if isinstance(made_by, OAuth2Refresh) and grant.refresh_token not in ("", *secrets):
            _tell_of_change(made_by, kept)
            kept.refresh_token = grant.refresh_token


def _tell_of_change(made_by: OAuth2Refresh, kept: _Kept) -> None:
    """Once: after a restart the configured refresh token is used, which may be void by then."""
    if not kept.refresh_token:
        what = "the token endpoint changed the refresh token: the new one is kept in memory only"
        log.warning(what, extra={"credential": made_by.refresh_token})


def _failure(error: SendError) -> _Failure:
    """Refusals are mended by a person; whatever else went wrong passes."""
    if isinstance(error, (CredentialMissing, CredentialRefused, TokenUnavailable)):
        return _Failure(type(error), error.what, error.mend)
    what = f"the token endpoint: {error.what}"
    if error.is_transient:
        return _Failure(TokenUnavailable, what, "")
    return _Failure(CredentialRefused, what, error.mend)
