"""Keys that templates sign with (`hmacSha256`): a JSON file of the process, as Google's server reads it.

    {"keys": {"orders": "c2VjcmV0IGtleQ=="}}

Ids and base64 of each key. The file is read again when it has changed. SPEC: sandbox-api 1.5 (hmacSha256).
"""

import base64
from contextlib import suppress

import msgspec
from msgspec import Struct

from sgtm.delivery.credentials import Credentials, CredentialSource
from sgtm.delivery.errors import CredentialMissing
from sgtm.errors import SettingsError

_NAME = "keys of templates"


class _File(Struct):
    keys: dict[str, str]


class PrivateKeys:
    """The keys of one file, by id."""

    def __init__(self, path: str) -> None:
        """Raises SettingsError for a file that is none."""
        self._file = Credentials({_NAME: CredentialSource(file=path)})
        self._text = ""
        self._keys: dict[str, bytes] = {}
        try:
            self._read()
        except (CredentialMissing, ValueError) as error:
            what = "cannot be read" if isinstance(error, CredentialMissing) else "holds no keys"
        else:
            return
        mend = 'write {"keys": {"id": "base64 of the key"}}'
        raise SettingsError(what, where=f"file of keys {path}", mend=mend)

    def __call__(self, key_id: str) -> bytes | None:
        """The key with this id; None where there is none. A file that went bad keeps the last keys."""
        with suppress(CredentialMissing, ValueError):
            self._read()
        return self._keys.get(key_id)

    def _read(self) -> None:
        """Raises CredentialMissing, ValueError."""
        text = self._file.value(_NAME)
        if text != self._text:
            read = msgspec.json.decode(text, type=_File).keys
            self._keys = {name: base64.b64decode(key, validate=True) for name, key in read.items()}
            self._text = text
