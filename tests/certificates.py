"""Certificates made for a test: good ones, and each kind of bad one."""

import datetime
import ipaddress
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


_SIGNS = x509.KeyUsage(True, False, False, False, False, False, False, False, False)


def new_key(rsa_bits: int = 0) -> Any:
    if rsa_bits:
        return rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Any, password: bytes | None = None) -> bytes:
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def name_of(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """Signs certificates; itself signed by `above`, or by itself."""

    def __init__(
        self,
        name: str = "Test authority",
        above: "Authority | None" = None,
        *,
        is_authority: bool = True,
        permitted: str = "",
        path_length: int | None = None,
    ) -> None:
        self.key, self.above = new_key(), above
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(is_authority, path_length if is_authority else None), True)
        ]
        signing = x509.KeyUsage(False, False, False, False, False, is_authority, is_authority, False, False)
        extensions.append((signing if is_authority else _SIGNS, True))
        if permitted:
            extensions.append((x509.NameConstraints([x509.DNSName(permitted)], None), True))
        signer = above or self
        self.name = name_of(name)
        self.certificate = _sign(
            self.name, self.key, above.name if above else self.name, signer.key, extensions, -DAY, 300 * DAY
        )

    def issue(
        self,
        *names: str,
        common_name: str = "leaf",
        purpose: Any = SERVER,
        begins: datetime.timedelta = -DAY,
        ends: datetime.timedelta = 60 * DAY,
        rsa_bits: int = 0,
    ) -> tuple[bytes, bytes]:
        """(chain, key) of a leaf, in PEM."""
        key = new_key(rsa_bits)
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(False, None), True),
            (x509.ExtendedKeyUsage([purpose]), False),
        ]
        if names:
            extensions.append((x509.SubjectAlternativeName(map(alternative, names)), False))
        leaf = _sign(
            name_of(common_name),
            key,
            self.name,
            self.key,
            extensions,
            begins,
            ends,
        )
        chain, signer = pem(leaf), self
        while signer.above is not None:
            chain += pem(signer.certificate)
            signer = signer.above
        return chain, key_pem(key)


def _sign(
    subject: x509.Name,
    key: Any,
    issuer: x509.Name,
    issuer_key: Any,
    extensions: list[tuple[x509.ExtensionType, bool]],
    begins: datetime.timedelta,
    ends: datetime.timedelta,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
    )
    extensions = [
        *extensions,
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False),
    ]
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, is_critical)
    return builder.sign(issuer_key, hashes.SHA256())


def write_pair(folder: Path, name: str, pair: tuple[bytes, bytes]) -> tuple[str, str]:
    """Files of a pair as an installer of certificates puts them: replaced whole, the key for its owner."""
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    for path, content in zip(paths, pair, strict=True):
        new = path.with_suffix(".new")
        new.touch(0o600)
        new.write_bytes(content)
        new.replace(path)
    return str(paths[0]), str(paths[1])
