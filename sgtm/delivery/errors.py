"""Why a request could not be sent: the closed list. Every sender raises one of these, or nothing.

                     may have arrived   worth another try
    ConnectFailed           no                yes
    TimedOut                yes               yes
    Disconnected            yes               yes
    BadAnswer               yes               yes
    Refused                 no                no      our own rules forbid the request as it is
    AddressRefused          no                yes     the name leads, just now, to a forbidden address
    CredentialMissing       no                no      nothing of this destination can be sent
    CredentialRefused       no                no      the same: no access token is given for the secret
    TokenUnavailable        no                yes     nobody said whether there is an access token

No text of theirs holds a URL, a header, a body or a secret (SPEC: reliability 3, rule 9).
"""

from typing import ClassVar

from sgtm.errors import SgtmError


class SendError(SgtmError):
    """A request did not bring a complete answer."""

    may_have_arrived: ClassVar[bool] = True
    """The vendor may have the request all the same: another try may be a duplicate (same id)."""
    is_transient: ClassVar[bool] = True
    """The same request may pass later."""


class ConnectFailed(SendError):
    """No connection: name not found, refused, certificate not accepted, no answer in time."""

    may_have_arrived = False


class TimedOut(SendError):
    """Connected, but the answer was not complete in time."""


class Disconnected(SendError):
    """The connection broke before the answer was complete."""


class BadAnswer(SendError):
    """What came back is not HTTP, or not one unambiguous message."""


class Refused(SendError):
    """The request breaks a rule of the request writer or of the egress door, and will the next time
    (SPEC: reliability 3, rules 2, 5 and 7)."""

    may_have_arrived = False
    is_transient = False


class AddressRefused(Refused):
    """The egress door forbids the addresses that the host's name leads to. Not what the name is: a
    name server with a fault, or one that answers by where it is asked, may say another in a minute,
    and no event is lost for it. Each attempt is judged anew."""

    is_transient = True


class CredentialMissing(SendError):
    """A secret is not there (variable unset, file missing or empty) or cannot be what it should be."""

    may_have_arrived = False
    is_transient = False


class CredentialRefused(SendError):
    """The token endpoint gives no access token for this secret: it is wrong, revoked or has expired."""

    may_have_arrived = False
    is_transient = False


class TokenUnavailable(SendError):
    """The token endpoint is not well: no connection, no answer in time, or none that can be used."""

    may_have_arrived = False
