"""Our own TLS: certificates by site (SNI), read again without a restart.

Each pair of certificate and key is a context of its own; the listener's context picks one for each
handshake by the name that is asked for, so a new pair serves from the next handshake on and no
connection notices. A pair that is broken is refused, and the old one stays. SPEC: requirements R15,
R215; reliability 6 (alert: certificate < 14 d). TLS 1.2 at least, forward secrecy and AEAD only.
"""

import asyncio
import logging
import os
import ssl
import stat
import time
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from sgtm.errors import SettingsError
from sgtm.observability.metrics import Counters
from sgtm.settings import Settings

log = logging.getLogger("sgtm.server")

WATCH_S = 30.0
"""How often the files are looked at."""
SOON_S = 14 * 86_400
"""A certificate that ends sooner is warned of."""

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2; those of 1.3 are all good."""
_NO_CHECK_TIME = 0x20_0000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME."""

Stamp = tuple[tuple[int, int, int], ...]


class Loaded(Struct, frozen=True):
    """A certificate with its key, ready to serve."""

    context: ssl.SSLContext
    names: tuple[str, ...]
    """Hosts of the certificate in lower case, with wildcards."""
    expires_s: float
    """Unix time."""
    stamp: Stamp
    """What its files looked like."""


class Certificates:
    """The certificates of a worker. `context` is what its listener uses.

    Raises SettingsError for a pair that cannot be used: at the start there is no old one.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]], counters: Counters | None = None) -> None:
        self._pairs, self._counters = pairs, counters
        self._loaded = [load(*pair) for pair in pairs]
        self._refused: dict[int, Stamp] = {}
        self.context = new_context(*pairs[0])
        self.context.sni_callback = self._pick
        self._index()
        for one in self._loaded:
            self._say("certificate loaded", one)

    @classmethod
    def of(cls, settings: Settings, counters: Counters | None = None) -> "Certificates | None":
        """What the settings name; None where they name none. Raises SettingsError."""
        certificates, keys = settings.tls_certificates, settings.tls_keys
        if keys and len(keys) != len(certificates):
            raise SettingsError(
                f"{len(certificates)} certificates and {len(keys)} keys",
                where="--tls-certificate and --tls-key",
                mend="give one key for each certificate, in the same order, or none if the files hold both",
            )
        return (
            cls(list(zip(certificates, keys or certificates, strict=True)), counters)
            if certificates
            else None
        )

    @property
    def expires_s(self) -> float:
        """Unix time at which the first of the certificates ends."""
        return min(one.expires_s for one in self._loaded)

    def reload(self) -> bool:
        """Read what has changed. Whether all that is served now is what the files say."""
        for number, pair in enumerate(self._pairs):
            stamp = _stamp(*pair)
            if stamp != self._loaded[number].stamp:
                self._replace(number, pair, stamp)
            else:
                self._refused.pop(number, None)
        return not self._refused

    async def watch(self, every_s: float = WATCH_S) -> None:
        """Reload whenever a file changes, for ever."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await asyncio.to_thread(self.reload)
            except Exception as error:  # else nobody would look any more, and one day all would end
                log.error("certificates cannot be looked at", extra={"error": type(error).__name__})

    def _replace(self, number: int, pair: tuple[str, str], stamp: Stamp) -> None:
        old = self._loaded[number]
        try:
            new = load(*pair)
            if new.expires_s < time.time() <= old.expires_s:
                raise SettingsError("has expired", where=f"certificate {pair[0]}", mend="renew it")
        except SettingsError as error:
            if self._refused.get(number) != stamp:  # said once, however often it is looked at
                self._refused[number] = stamp
                self._count("refused")
                log.error("a new certificate is refused, the old one stays", extra={"reason": str(error)})
            return
        self._refused.pop(number, None)
        self._loaded[number] = new
        self._index()
        self._say("certificate reloaded", new)

    # -- which one -------------------------------------------------------------------------------

    def _index(self) -> None:
        """Contexts by name; of two certificates for one name the first is served."""
        named = ((name, one.context) for one in reversed(self._loaded) for name in one.names)
        self._contexts = dict(named)

    def _pick(self, connection: Any, name: str | None, _: ssl.SSLContext) -> None:
        """OpenSSL asks at each handshake. Who asks for nothing, or for what we have not, gets the first."""
        host = (name or "").lower()
        contexts = self._contexts
        wildcard = f"*.{host.partition('.')[2]}"
        connection.context = contexts.get(host) or contexts.get(wildcard) or self._loaded[0].context

    # -- what is said ----------------------------------------------------------------------------

    def _say(self, what: str, one: Loaded) -> None:
        self._count("loaded")
        days = (one.expires_s - time.time()) / 86_400
        level = logging.WARNING if days * 86_400 < SOON_S else logging.INFO
        log.log(level, what, extra={"names": list(one.names), "expires_in_days": round(days, 1)})

    def _count(self, outcome: str) -> None:
        if self._counters is not None:
            self._counters.add("sgtm_certificates_read_total", outcome)


def load(certificate: str, key: str) -> Loaded:
    """A pair from its files, tried in a handshake with ourselves. Raises SettingsError."""
    where = f"certificate {certificate}, key {key}"
    try:
        stamp = _stamp(certificate, key)
        context = new_context(certificate, key)
        content = _shake_hands(context, certificate)
    except ssl.SSLCertVerificationError as error:
        raise SettingsError(error.verify_message, where=where, mend="get one for a server") from None
    except ssl.SSLError as error:
        raise SettingsError(
            _reason(error),
            where=where,
            mend="write PEM files: the chain, leaf first, and its key, unencrypted",
        ) from None
    except OSError as error:
        raise SettingsError(
            error.strerror or "cannot be read", where=where, mend="name files that can be read"
        ) from None
    if os.stat(key).st_mode & stat.S_IROTH:
        log.warning("others can read a key", extra={"key": key, "mend": f"chmod o-r {key}"})
    names = [value.lower() for kind, value in content.get("subjectAltName", ()) if kind == "DNS"]
    return Loaded(context, tuple(names), ssl.cert_time_to_seconds(content["notAfter"]), stamp)


def new_context(certificate: str, key: str) -> ssl.SSLContext:
    """What a listener needs to serve this pair. Raises OSError, of which ssl.SSLError is one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    # a key with a password is refused: nobody is there to type it
    context.load_cert_chain(certificate, key, password=lambda: "")
    return context


def _shake_hands(server: ssl.SSLContext, certificate: str) -> dict[str, Any]:
    """What the certificate says, as a client sees it that trusts exactly this one. Its time is not
    looked at: an expired one is better than none."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(certificate)
    client.verify_flags |= ssl.VerifyFlags(ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for end in ends * 2:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return ends[0].getpeercert() or {}


def _stamp(*paths: str) -> Stamp:
    """What files look like from outside; changes when one is written anew, replaced or linked elsewhere."""
    found = []
    for path in paths:
        try:
            state = os.stat(path)
            found.append((state.st_mtime_ns, state.st_size, state.st_ino))
        except OSError:
            found.append((0, 0, 0))
    return tuple(found)


def _reason(error: ssl.SSLError) -> str:
    """OpenSSL's word for it: `KEY_VALUES_MISMATCH` -> `key values mismatch`."""
    return (error.reason or "no certificate and key in PEM").replace("_", " ").lower()
