"""Certificates that no request may be sent to, each refused in the handshake. SPEC: reliability 3, rule 6."""

import asyncio
import ssl
import subprocess
import tempfile
from pathlib import Path

import pytest
from certificates import CLIENT, DAY, Authority, key_pem, pem, write_pair
from delivery import deliveries
from delivery.deliveries import to_loopback
from delivery.test_egress import Answering

from sgtm.delivery.credentials import Credentials
from sgtm.delivery.errors import ConnectFailed
from sgtm.messages import OutgoingRequest

pytestmark = pytest.mark.usefixtures("each_sender")

HOST = "api.vendor.example"
ROOT = Authority("Root")


def below(**kwargs):
    """A leaf for the right host of an authority below the root."""
    return Authority("Between", ROOT, **kwargs).issue(HOST)


def self_signed():
    alone = Authority(HOST, is_authority=False)
    return pem(alone.certificate), key_pem(alone.key)


def signed_with_sha1():
    """By the command: the library that makes the others does not sign so any more."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {
            name: Path(folder) / name for name in ("root.pem", "root.key", "key", "request", "names", "leaf")
        }
        paths["root.pem"].write_bytes(pem(ROOT.certificate))
        paths["root.key"].write_bytes(key_pem(ROOT.key))
        paths["names"].write_text(f"subjectAltName=DNS:{HOST}")
        for words in (
            f"req -newkey rsa:2048 -nodes -keyout {paths['key']} -out {paths['request']} -subj /CN={HOST}",
            f"x509 -req -in {paths['request']} -CA {paths['root.pem']} -CAkey {paths['root.key']} -sha1 "
            f"-set_serial 7 -days 9 -extfile {paths['names']} -out {paths['leaf']}",
        ):
            subprocess.run(["openssl", *words.split()], check=True, capture_output=True)
        return paths["leaf"].read_bytes(), paths["key"].read_bytes()


def too_long_a_path():
    return Authority("Second", Authority("First", ROOT, path_length=0)).issue(HOST)


BAD = {
    "expired": lambda: ROOT.issue(HOST, begins=-9 * DAY, ends=-DAY),
    "not yet valid": lambda: ROOT.issue(HOST, begins=DAY),
    "wrong host": lambda: ROOT.issue("other.vendor.example"),
    "host above": lambda: ROOT.issue("vendor.example"),
    "self-signed": self_signed,
    "unknown authority": lambda: Authority("Root").issue(HOST),  # of the very same name
    "wildcard over two labels": lambda: ROOT.issue("*.example"),
    "wildcard over everything": lambda: ROOT.issue("*"),
    "wildcard inside of the name": lambda: ROOT.issue("api.*.example"),
    "address instead of the host": lambda: ROOT.issue("127.0.0.1"),
    "SHA-1 signature": signed_with_sha1,
    "weak key": lambda: ROOT.issue(HOST, rsa_bits=1024),
    "common name only": lambda: ROOT.issue(common_name=HOST),
    "common name right, alternative name wrong": lambda: ROOT.issue("x.example", common_name=HOST),
    "signed by no authority": lambda: below(is_authority=False),
    "authority below one that allows none": too_long_a_path,
    "for clients only": lambda: ROOT.issue(HOST, purpose=CLIENT),
    "outside of the names of its authority": lambda: below(permitted="other.example"),
}
OF_ADDRESSES = {
    "another address": lambda: ROOT.issue("127.0.0.2"),
    "the address as a name only": lambda: ROOT.issue("localhost", common_name="127.0.0.1"),
}
GOOD = {
    "leaf of the root": (HOST, lambda: ROOT.issue(HOST)),
    "wildcard of one label": (HOST, lambda: ROOT.issue("*.vendor.example")),
    "leaf of an authority below": (HOST, below),
    "within the names of its authority": (HOST, lambda: below(permitted="vendor.example")),
    "address": ("127.0.0.1", lambda: ROOT.issue("127.0.0.1")),
}


class Vendor:
    """A vendor with such a certificate, who is not particular about what it signs with."""

    def __init__(self, folder, pair):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_ciphers("DEFAULT:@SECLEVEL=0")
        self.context.load_cert_chain(*write_pair(folder, "vendor", pair))
        self.heard = b""

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0, ssl=self.context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _talk(self, reader, writer):
        while chunk := await reader.read(65_536):
            self.heard += chunk
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()


async def send_to(tmp_path, host, pair):
    """(status, what the vendor heard)"""
    root = tmp_path / "root.pem"
    root.write_bytes(pem(ROOT.certificate))
    egress = to_loopback(resolver=Answering(["127.0.0.1"]))
    async with (
        Vendor(tmp_path, pair) as vendor,
        deliveries.new_sender(Credentials({}), egress, ca_file=str(root)) as sender,
    ):
        try:
            answer = await sender.send(
                OutgoingRequest("POST", f"https://{host}:{vendor.port}/", body=b"x"), 5
            )
        except ConnectFailed as error:
            return str(error), vendor.heard
        return answer.status, vendor.heard


@pytest.mark.parametrize(("host", "pair"), GOOD.values(), ids=GOOD)
async def test_good_certificates_are_accepted(tmp_path, host, pair):
    status, heard = await send_to(tmp_path, host, pair())
    assert (status, heard[:6]) == (204, b"POST /")


CASES = [(HOST, pair) for pair in BAD.values()] + [("127.0.0.1", pair) for pair in OF_ADDRESSES.values()]


@pytest.mark.parametrize(("host", "pair"), CASES, ids=[*BAD, *OF_ADDRESSES])
async def test_bad_certificates_are_refused_before_a_byte_is_sent(tmp_path, host, pair):
    said, heard = await send_to(tmp_path, host, pair())
    assert "certificate" in str(said)
    assert heard == b""
