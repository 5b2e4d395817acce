"""Sender: takes an outgoing request to its vendor and brings the answer back.

`start` where that needs one write and nothing to wait for, without a task or a future; otherwise `send`.

Lanes, tests and benchmarks know only the protocol (`http_sender.py`) and the closed list of errors
(`errors.py`), so any of the senders can take the place of the other unseen. Here it is chosen.
"""

from typing import Literal

from sgtm.delivery.credentials import Credentials
from sgtm.delivery.egress import Egress
from sgtm.delivery.http_sender import HttpSender, Sender
from sgtm.delivery.lean_sender import LeanSender
from sgtm.delivery.pooled_sender import PooledSender

__all__ = ["Sender", "make_sender"]

SENDERS: dict[Literal["lean", "pooled"], type[LeanSender] | type[PooledSender]] = {
    "lean": LeanSender,
    "pooled": PooledSender,
}


def make_sender(kind: Literal["lean", "pooled"], credentials: Credentials, egress: Egress) -> HttpSender:
    """The sender that the settings ask for."""
    return SENDERS[kind](credentials, egress)
