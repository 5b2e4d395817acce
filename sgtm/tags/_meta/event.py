"""Meta's server event under Meta's names: what an event says of itself, its name, advice, the last gate.

SPEC: meta-capi 3 (event), 4 (user_data), 6 (names), 7 (custom_data).
"""

import re
from typing import Any, Literal, TypeAlias

import msgspec

from sgtm._fast.mapping import AS_IS, TEXT, Field, Mapping

ActionSource: TypeAlias = Literal[
    "email",
    "website",
    "app",
    "phone_call",
    "chat",
    "physical_store",
    "system_generated",
    "business_messaging",
    "other",
]

EVENT_NAMES = {
    # the official template's
    "page_view": "PageView",
    "gtm.dom": "PageView",
    "view_item": "ViewContent",
    "search": "Search",
    "add_to_cart": "AddToCart",
    "begin_checkout": "InitiateCheckout",
    "generate_lead": "Lead",
    "sign_up": "CompleteRegistration",
    "add_payment_info": "AddPaymentInfo",
    "add_to_wishlist": "AddToWishlist",
    "purchase": "Purchase",
    # Stape's
    "contact": "Contact",
    "customize_product": "CustomizeProduct",
    "donate": "Donate",
    "find_location": "FindLocation",
    "schedule": "Schedule",
    "start_trial": "StartTrial",
    "submit_application": "SubmitApplication",
    "subscribe": "Subscribe",
    "gtm4wp.addProductToCartEEC": "AddToCart",
    "gtm4wp.productClickEEC": "ViewContent",
    "gtm4wp.checkoutOptionEEC": "InitiateCheckout",
    "gtm4wp.checkoutStepEEC": "AddPaymentInfo",
    "gtm4wp.orderCompletedEEC": "Purchase",
}
"""SPEC: meta-capi 6. A refund is no negative Purchase, so it is not here."""

ServerEvent: TypeAlias = dict[str, Any]
"""One event of the array `data`, with `user_data` and `custom_data`; what is missing has no key."""

SAID = Mapping(
    *(
        Field(key, TEXT, key)
        for key in (
            *("page_location", "page_referrer", "event_id", "transaction_id", "action_source"),
            *("user_agent", "ip_override", "test_event_code", "messaging_channel"),
            *("customer_segmentation", "advanced_measurement_table"),
        )
    ),
    *(
        Field(key, AS_IS, key)
        for key in (
            *("app_data", "extinfo", "original_event_data", "attribution_data", "data_processing_options"),
            *("common_cookie", "x-fb-ck-fbp", "x-fb-ck-fbc", "fbp", "fbc"),
        )
    ),
)
"""What the event says about itself and its browser, read once; texts first, then what is judged later."""


def advice(event: ServerEvent) -> list[str]:
    """What Meta asks for and takes without. SPEC: meta-capi 3 (website), 7, 12."""
    said = []
    user_data, details = event["user_data"], event.get("custom_data")
    if event.get("action_source") == "website":
        if "event_source_url" not in event:
            said.append("a website event needs page_location")
        if "client_user_agent" not in user_data:
            said.append("a website event needs user_agent")
    if details and "value" in details and "currency" not in details:
        said.append("value has no currency")
    if event.get("data_processing_options") and not (
        event["data_processing_options_country"] or "client_ip_address" in user_data
    ):
        said.append("limited data use without an address needs a country and a state")
    return said


def seconds(time: float) -> int:
    """Whole Unix seconds, also out of milliseconds or microseconds. SPEC: meta-capi 3, event_time."""
    if time > 1e14:
        return int(time // 1_000_000)
    return int(time // 1_000) if time > 1e11 else int(time)


# -- the last gate: no personal data in the clear (R268) ---------------------------------------

_MARKS = (b"%40", b"%2540")
_encode = msgspec.json.Encoder().encode
_EMAIL = re.compile(r"(?<![\w.+'%-])[\w.+'%-]+(?:@|%(?:25)?40)[\w-][\w.-]{0,253}\.\w{2,24}(?!\w)")
"""Begins only where no character of a name stands before, so the time is linear in the text."""


def encode_event(event: ServerEvent, warnings: list[str]) -> bytes:
    """The event as JSON. An e-mail address outside user_data (in a page URL, a search) is taken out."""
    try:
        item = _encode(event)
        if b"@" not in item and not (b"%" in item and any(mark in item for mark in _MARKS)):
            return item
    except UnicodeEncodeError:
        item = b""
    clean = _encode(_in_clear(event))
    if clean != item:
        warnings.append("an e-mail address stood in the clear outside user_data; it is replaced")
    return clean


def _in_clear(value: Any) -> Any:
    """`value` without e-mail addresses, and with U+FFFD for what has no UTF-8."""
    if isinstance(value, str):
        return _EMAIL.sub("redacted", value.encode("utf-8", "replace").decode())
    if isinstance(value, dict):
        return {_in_clear(key): _in_clear(item) for key, item in value.items()}
    return [_in_clear(item) for item in value] if isinstance(value, list) else value
