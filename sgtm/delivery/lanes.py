"""Lanes (to be filled): one per destination."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from sgtm.component import Component
from sgtm.messages import OutgoingRequest, Outcome
from sgtm.observability.walk import WalkedDelivery


class DeliveryRules(Struct, frozen=True):
    """How one tag's requests are sent; `delivery:` of a tag in container.yaml."""

    timeout_s: float = 5.0
    expires_after_s: float = 86_400.0
    max_batch: int = 0
    """Events in one request; 0: what the vendor allows."""
    linger_ms: int = 50
    """How long a batch waits for company (only tags that batch)."""


class Delivery(Struct):
    """One outgoing request on its way, with what is needed to judge and to settle it."""

    tag: str
    component: Component
    request: OutgoingRequest
    rules: DeliveryRules
    on_settled: Callable[[Outcome], Any]
    """Called exactly once with a `done`, `dead` or `refused` outcome."""
    expires_micros: int
    walked: WalkedDelivery | None = None
