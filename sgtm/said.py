"""What a client said about a request, made sure of before the pipeline acts on it."""

from collections.abc import Callable
from typing import Any, cast

from sgtm.authentication import is_proven
from sgtm.errors import SgtmError
from sgtm.messages import Claimed, Conversation, Declined, Pending, Verify

Said = Claimed | Declined | Pending | Conversation
SecretOf = Callable[[str], str]
"""The value of a secret by its name. Raises SgtmError."""


def no_secret(name: str) -> str:
    """Where nobody knows any."""
    raise SgtmError("has no value", where=f"credential {name!r}", mend="give the pipeline its credentials")


def sound(said: Any, secret_of: SecretOf) -> Said:
    """What a client said, if it is one of the things a client can say; where it wants to know whether the
    sender knows a secret, what it says then. Raises TypeError."""
    if isinstance(said, Verify):
        said = said.then(is_proven(said.proofs, secret_of))
    if isinstance(said, Claimed):
        for data in said.events:
            if not isinstance(data, dict):
                raise TypeError("event data are dicts")
        for keys in (said.repeat_keys, said.once_keys):
            if keys and len(keys) != len(said.events):
                raise TypeError("there is one key per event")
    elif not isinstance(said, (Declined, Pending, Conversation)):
        raise TypeError("a client says Claimed, Declined or Pending")
    return cast(Said, said)
