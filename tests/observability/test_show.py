"""A walk as text."""

import pytest

from sgtm.messages import Answer, OutgoingRequest, VendorAnswer
from sgtm.observability.show import show_walk
from sgtm.observability.walk import Walk, WalkedDelivery, WalkedEvent, WalkedTag


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x9b2J", "\u202e", "\r", "\x07"])
def test_nothing_that_was_sent_can_steer_the_terminal(hostile):
    # SPEC: reliability 5 rule 7: ANSI escapes and RTL marks are shown inert
    request = OutgoingRequest("POST", f"https://vendor.example/{hostile}?a=%1B%5B2J", body=hostile.encode())
    answer = VendorAnswer(200, (), hostile.encode())
    tag = WalkedTag(
        hostile,
        "fired",
        reason=hostile,
        warnings=[hostile],
        deliveries=[WalkedDelivery(request, answer, error=hostile)],
    )
    walk = Walk(
        method="GET",
        path=f"/{hostile}",
        declined=[(hostile, hostile)],
        claimed_by=hostile,
        warnings=[hostile],
        events=[WalkedEvent(hostile, {"page_location": hostile}, hostile, [tag])],
        answer=Answer(204, (("Set-Cookie", f"{hostile}=1"),)),
    )
    shown = show_walk(walk, f"GET /{hostile}", hostile)
    assert all(char.isprintable() for char in shown.replace("\n", ""))
    assert "vendor.example" in shown


@pytest.mark.parametrize("body", [b"{no json", b"[" * 5_000, b"\xff", b'{"em": "' + b"a1" * 32 + b'"}'])
def test_any_body_can_be_shown(body):
    request = OutgoingRequest("POST", "https://vendor.example/", body=body)
    tag = WalkedTag("Tag", "fired", deliveries=[WalkedDelivery(request)])
    shown = show_walk(Walk(events=[WalkedEvent("purchase", {}, "", [tag])]), "hit", "")
    assert "received POST https://vendor.example/" in shown
    assert "a1" * 32 not in shown
