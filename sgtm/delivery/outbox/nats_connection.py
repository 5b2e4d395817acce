"""Connection: the only file that knows the client library of NATS. Lives in the broker's thread.

Nothing is buffered while there is no connection, so nothing counts as sent that was not; and only the
broker's acknowledgement counts as kept (SPEC: reliability 1.3, Client).
"""

import json
import logging
import ssl
from asyncio import timeout
from base64 import b64decode
from pathlib import Path
from typing import Any

import aiohttp

from sgtm.delivery.outbox import OutboxFull, OutboxUnavailable
from sgtm.delivery.outbox.nats_message import Message
from sgtm.delivery.outbox.nats_promise import Facts
from sgtm.delivery.tls import verified_context
from sgtm.errors import SettingsError, SgtmError
from sgtm.settings import Settings

try:
    from nats.aio.client import Client
    from nats.errors import Error as NatsError
    from nats.errors import MaxPayloadError
    from nats.js.errors import APIError, NoStreamResponseError
except ImportError:  # an extra: only whoever asks for this engine needs it
    Client = NatsError = MaxPayloadError = APIError = NoStreamResponseError = None  # type: ignore[assignment,misc]

log = logging.getLogger("sgtm.delivery.outbox")

CONSUMER = "deliver"
CONNECT_S = 2.0
RECONNECT_S = 0.25
PING_S = 5
ASK_S = 3.0
TRY_S = 2.0
"""One try to publish."""
FULL_CODE = 10_077
"""`maximum bytes exceeded`, where the stream discards what is new (SPEC: reliability 0.3)."""
WRONG_SEQUENCE_CODE = 10_071
REFUSED = "the broker refuses our credentials"
_UNANSWERED = (TimeoutError, OSError)


class NoAnswer(SgtmError):
    """Whether it was done is unknown; the same may be tried again."""


class NoStream(SgtmError):
    """The broker has no such stream or consumer."""


class WrongSequence(SgtmError):
    """The subject has another latest message than was said."""


class StreamFull(OutboxFull):
    """The stream has no room for it."""


def subject_of(stream: str) -> str:
    """Where records are published."""
    return f"{stream}.records"


class Connection:
    """One connection to the broker, kept up by itself. Made in the loop that it lives in."""

    def __init__(self, settings: Settings) -> None:
        if Client is None:
            raise SettingsError(
                "needs the package `nats-py`", where="outbox (nats)", mend="pip install 'sgtm[nats]'"
            )
        self._settings = settings
        self.stream = settings.nats_stream
        self.last_error = ""
        """What went wrong last, in the library's words for its kind."""
        self._client = _client_of(settings)
        self._pulling: Any = None

    @property
    def is_up(self) -> bool:
        """Whether the broker can be asked."""
        return bool(self._client.is_connected)

    @property
    def max_payload(self) -> int:
        """Bytes of the largest message that the server takes."""
        return int(self._client.max_payload)

    async def connect(self) -> None:
        """Connect; tries again and again."""
        await self._client.connect(
            servers=list(self._settings.nats_urls),
            name="sgtm",
            error_cb=self._on_error,
            disconnected_cb=self._on_lost,
            reconnected_cb=self._on_back,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            connect_timeout=CONNECT_S,
            reconnect_time_wait=RECONNECT_S,
            ping_interval=PING_S,
            max_outstanding_pings=2,
            pending_size=0,
            **_credentials(self._settings),
        )

    async def close(self) -> None:
        """The end."""
        await self._client.close()

    # -- publish, pull, acknowledge --------------------------------------------------------------

    async def publish(
        self, name: str, payload: bytes, subject: str = "", more: dict[str, str] | None = None
    ) -> bool:
        """Publish under this id (empty: none), and wait for the acknowledgement; whether it was there before.
        Raises NoAnswer, OutboxFull, OutboxUnavailable."""
        js = self._client.jetstream()
        headers = {**({"Nats-Msg-Id": name} if name else {}), **(more or {})} or None
        try:
            ack = await js.publish(
                subject or subject_of(self.stream), payload, timeout=TRY_S, headers=headers
            )
        except MaxPayloadError:
            mend = "raise max_payload of the server and max_msg_size of the stream"
            raise OutboxFull("larger than the broker takes", where="outbox (nats)", mend=mend) from None
        except NoStreamResponseError:
            raise _unavailable("the broker has no stream that takes it", "sgtm outbox init") from None
        except APIError as error:
            if error.err_code == FULL_CODE:
                mend = "a vendor is down, or deliverers are missing; or give it more max_bytes"
                raise StreamFull("the stream is full", where="outbox (nats)", mend=mend) from None
            if error.err_code == WRONG_SEQUENCE_CODE:
                raise WrongSequence("somebody else was first", where="outbox (nats)") from None
            raise _unavailable(f"the broker refuses ({error.err_code})", "see its log") from None
        except (NatsError, *_UNANSWERED) as error:
            raise NoAnswer(type(error).__name__, where="outbox (nats)") from None
        return bool(ack.duplicate)

    async def read(self, stream: str, subject: str) -> tuple[bytes, int] | None:
        """The latest message of a subject, and its number; None: there is none. Raises NoAnswer,
        OutboxUnavailable."""
        try:
            answer = await self.ask(f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject})
        except NoStream:  # or no such message: whoever writes then finds out
            return None
        message = answer["message"]
        return b64decode(message.get("data", "")), message["seq"]

    async def write(self, subject: str, payload: bytes, after: int) -> bool:
        """Write a subject's latest message, if `after` is still the number of the one before (0: there is
        none); whether it was. Raises NoAnswer, OutboxFull, OutboxUnavailable."""
        try:
            await self.publish("", payload, subject, {"Nats-Expected-Last-Subject-Sequence": str(after)})
        except WrongSequence:
            return False
        return True

    async def pull(self, wait_s: float) -> Message | None:
        """The next message, or None where there is none in time. Raises NoAnswer."""
        try:
            if self._pulling is None:
                js = self._client.jetstream()
                self._pulling = await js.pull_subscribe_bind(CONSUMER, self.stream)
            (found,) = await self._pulling.fetch(1, timeout=wait_s)
        except TimeoutError:
            return None
        except (NatsError, OSError) as error:
            raise NoAnswer(type(error).__name__, where="outbox (nats)") from None
        headers = found.headers or {}
        name = headers.get("Nats-Msg-Id") or f"{found.metadata.sequence.stream}.0"
        return Message(name, found.reply, found.metadata.num_delivered, found.data)

    async def say(self, reply: str, word: bytes) -> None:
        """Say something of a message; lost where there is no connection."""
        try:
            await self._client.publish(reply, word)
        except (NatsError, *_UNANSWERED):
            log.debug("an acknowledgement was not sent")

    async def say_surely(self, reply: str, word: bytes) -> None:
        """The same, and wait until the broker has it. Raises NoAnswer."""
        await self._request(reply, word)

    # -- what the broker says of itself ----------------------------------------------------------

    async def ask(self, question: str, body: Any = None) -> dict[str, Any]:
        """The answer of JetStream's interface. Raises NoAnswer, NoStream, OutboxUnavailable."""
        data = json.dumps(body).encode() if body is not None else b""
        answer: dict[str, Any] = json.loads(await self._request(f"$JS.API.{question}", data))
        error = answer.get("error")
        if error is None:
            return answer
        if error.get("code") == 404:
            raise NoStream(
                str(error.get("description")), where=f"stream {self.stream}", mend="sgtm outbox init"
            )
        raise _unavailable(str(error.get("description")), "see the broker's log")

    async def facts(self, info: dict[str, Any]) -> Facts:
        """What there is to judge; `info` is what the broker says of the stream. Raises NoAnswer."""
        config = info["config"]
        server = self._client.connected_server_version
        return Facts(
            version=f"{server.major}.{server.minor}.{server.patch}",
            sync_s=await self._sync_s(),
            replicas=config.get("num_replicas", 1),
            storage=config.get("storage", "file"),
            discard=config.get("discard", "old"),
            max_bytes=config.get("max_bytes", -1),
            persist_mode=config.get("persist_mode", ""),
            retention=config.get("retention", "limits"),
            max_payload=self.max_payload,
            max_message=config.get("max_msg_size", -1),
        )

    async def _request(self, subject: str, data: bytes) -> bytes:
        try:
            return bytes((await self._client.request(subject, data, timeout=ASK_S)).data)
        except (NatsError, *_UNANSWERED) as error:
            raise NoAnswer(type(error).__name__, where="outbox (nats)") from None

    async def _sync_s(self) -> float | None:
        """Seconds between syncs of the server that syncs least; None where one does not say."""
        longest = 0.0
        for url in self._settings.nats_monitoring_urls:
            try:
                async with (
                    timeout(ASK_S),
                    aiohttp.ClientSession() as session,
                    session.get(f"{url}/varz", allow_redirects=False) as answer,
                ):
                    config = (await answer.json())["jetstream"]["config"]
                syncs_s = 0.0 if config.get("sync_always") else config["sync_interval"] / 1e9
            except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError):
                return None
            longest = max(longest, syncs_s)
        return longest if self._settings.nats_monitoring_urls else None

    # -- the connection comes and goes -----------------------------------------------------------

    async def _on_error(self, error: Exception) -> None:
        text = str(error)
        if "uthorization" in text or "uthentication" in text or "Permissions" in text:
            self.last_error = REFUSED
        elif self.last_error != REFUSED:  # what follows a refusal explains less
            self.last_error = type(error).__name__

    async def _on_lost(self) -> None:
        if not self._client.is_closed:
            log.error("the connection to the broker is lost")

    async def _on_back(self) -> None:
        self.last_error = ""
        log.info("the connection to the broker is back")


def _client_of(settings: Settings) -> Any:
    """A client that sends no credentials in clear where TLS was asked for."""
    wants_tls = any(url.startswith("tls://") for url in settings.nats_urls)

    class _Client(Client):
        def _connect_command(self) -> bytes:
            if wants_tls and not self._server_info.get("tls_required"):
                raise NatsError("nats: the server offers no TLS")
            return bytes(super()._connect_command())

    return _Client()


def _credentials(settings: Settings) -> dict[str, Any]:
    """Keywords of `connect`. Raises SettingsError."""
    said: dict[str, Any] = {}
    try:
        if settings.nats_credentials_file:
            Path(settings.nats_credentials_file).read_bytes()
            said["user_credentials"] = settings.nats_credentials_file
        if settings.nats_user:
            password = Path(settings.nats_password_file)
            password.read_bytes()
            said["user"] = settings.nats_user
            said["password"] = lambda: password.read_text().strip()
        said["tls"] = verified_context(settings.nats_tls_ca or None)
        if settings.nats_tls_certificate:
            said["tls"].load_cert_chain(settings.nats_tls_certificate)
    except (OSError, ssl.SSLError, ValueError) as error:
        name = getattr(error, "filename", None) or "credentials, authority or certificate"
        raise SettingsError(
            "cannot be read", where=f"outbox (nats): {name}", mend="see the --nats-* settings"
        ) from None
    return said


def _unavailable(what: str, mend: str) -> OutboxUnavailable:
    return OutboxUnavailable(what, where="outbox (nats)", mend=mend)
