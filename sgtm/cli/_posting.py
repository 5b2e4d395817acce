"""Posts one request to a server's public address, as commands do that try a running server."""

import http.client
import ssl
from urllib.parse import SplitResult, urlsplit

from sgtm.errors import SettingsError
from sgtm.messages import IncomingRequest

TIMEOUT_S = 30.0
ADDED_HEADERS = (b"content-length", b"connection", b"transfer-encoding")
"""Headers of a recorded request that whoever sends it writes himself."""


def read_url(text: str) -> SplitResult:
    """The parts of `--url`. Raises SettingsError."""
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise SettingsError(f"{text[:80]!r} is no address", where="--url", mend="write http://localhost:8080")
    return url


def post(address: str, request: IncomingRequest, *, verifies: bool = True) -> tuple[int, bytes]:
    """Status and body of the answer to this request; its own headers, and what HTTP needs beside them.
    `verifies=False` takes any certificate. Raises SettingsError where nobody answers."""
    connection = _connection(read_url(address), verifies=verifies)
    target = request.path + (f"?{request.query.decode()}" if request.query else "")
    try:
        has_host = any(name == b"host" for name, _ in request.headers)
        connection.putrequest(request.method, target, skip_host=has_host)
        for name, value in request.headers:
            connection.putheader(name.decode("latin-1"), value)
        connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise SettingsError(f"no answer: {reason}", where=address, mend="is the server running?") from None
    finally:
        connection.close()


def _connection(url: SplitResult, *, verifies: bool) -> http.client.HTTPConnection:
    host = url.hostname or ""
    if url.scheme == "http":
        return http.client.HTTPConnection(host, url.port, timeout=TIMEOUT_S)
    trust = ssl.create_default_context()
    if not verifies:
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(host, url.port, timeout=TIMEOUT_S, context=trust)
