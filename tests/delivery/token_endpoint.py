"""A stand-in for token endpoints: counts what it is asked, checks secrets and signatures, and gives
`access-1`, `access-2`, ... as RFC 6749 says, or fails as it is told."""

import asyncio
import base64
import json
from urllib.parse import parse_qsl, unquote_plus

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
RSA_KEY = rsa.generate_private_key(65_537, 2_048)


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


EC_PEM = pem(ec.generate_private_key(ec.SECP256R1()))


class TokenEndpoint:
    """`async with` it; `url` is its address. Every attribute may change while it runs."""

    def __init__(self, tls=None):
        self.asked = []
        """(headers, form) of each request."""
        self.client = ("client-1", "client-secret")
        self.refresh_token = "refresh-token"
        self.changes_refresh_token = False
        self.expires_in = 3_600
        self.says = None
        """(status, JSON or bytes[, headers]): answer this instead."""
        self.is_silent = False
        self.latency_s = 0.0
        self.under_way = 0
        self._given = 0
        self._tls, self._closing = tls, asyncio.Event()

    async def __aenter__(self):
        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        scheme = "http" if self._tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._runner.addresses[0][1]}/token"
        return self

    async def __aexit__(self, *_):
        self._closing.set()
        await self._runner.cleanup()

    @property
    def count(self):
        return len(self.asked)

    def key_file(self, **changes):
        """The JSON that Google gives for a service account."""
        return json.dumps(
            {
                "type": "service_account",
                "private_key_id": "key-1",
                "private_key": pem(RSA_KEY),
                "client_email": "tags@project.iam.example",
                "token_uri": self.url,
                **changes,
            }
        )

    async def _answer(self, request):
        form = dict(parse_qsl((await request.read()).decode(), strict_parsing=True, keep_blank_values=True))
        self.asked.append((request.headers, form))
        self.under_way += 1
        try:
            if self.is_silent:
                await self._closing.wait()
            await asyncio.sleep(self.latency_s)
        finally:
            self.under_way -= 1
        if self.says is not None:
            status, body, *headers = self.says
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            return web.Response(status=status, body=body, headers=dict(*headers))
        error = self._error(request.headers, form)
        if error:
            return web.json_response({"error": error, "error_description": "canary"}, status=400)
        return web.json_response(self._grant())

    def _grant(self):
        self._given += 1
        grant = {"access_token": f"access-{self._given}", "token_type": "Bearer"}
        if self.expires_in is not None:
            grant["expires_in"] = self.expires_in
        if self.changes_refresh_token:
            grant["refresh_token"] = self.refresh_token = f"refresh-{self._given}"
        return grant

    def _error(self, headers, form):
        if form["grant_type"] == JWT_BEARER:
            return "" if self._is_signed(form["assertion"]) else "invalid_grant"
        if self._client_of(headers, form) != self.client:
            return "invalid_client"
        if form["grant_type"] == "refresh_token" and form["refresh_token"] != self.refresh_token:
            return "invalid_grant"
        return ""

    def _client_of(self, headers, form):
        basic = headers.get("Authorization", "").removeprefix("Basic ")
        if basic:
            pair = base64.b64decode(basic).decode().split(":")
            return tuple(map(unquote_plus, pair))
        return form.get("client_id"), form.get("client_secret")

    def _is_signed(self, assertion):
        message, _, signature = assertion.rpartition(".")
        try:
            RSA_KEY.public_key().verify(unpadded(signature), message.encode(), PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True


def unpadded(text):
    """Bytes of base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def assertion_of(form):
    """(header, claims) of the assertion in a form."""
    header, claims, _ = form["assertion"].split(".")
    return json.loads(unpadded(header)), json.loads(unpadded(claims))
