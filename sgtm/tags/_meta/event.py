"""Meta's server event as structs, under Meta's names; what is None stays out of the JSON.

SPEC: meta-capi 3 (event), 4 (user_data), 6 (names), 7 (custom_data).
"""

import re
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

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

OneOrMany: TypeAlias = str | list[str] | None
"""One value is a plain text, as in the official template; several are an array (meta-capi 4.1)."""


class UserData(Struct, omit_defaults=True, kw_only=True):
    """Who did it. The first seventeen are digests; the rest goes as it is (meta-capi 4.3, 4.4)."""

    em: OneOrMany = None
    ph: OneOrMany = None
    fn: OneOrMany = None
    ln: OneOrMany = None
    db: OneOrMany = None
    ge: OneOrMany = None
    ct: OneOrMany = None
    st: OneOrMany = None
    zp: OneOrMany = None
    country: OneOrMany = None
    external_id: OneOrMany = None
    f5first: OneOrMany = None
    f5last: OneOrMany = None
    fi: OneOrMany = None
    dobd: OneOrMany = None
    dobm: OneOrMany = None
    doby: OneOrMany = None
    client_ip_address: str | None = None
    client_user_agent: str | None = None
    fbc: str | None = None
    fbp: str | None = None
    subscription_id: str | None = None
    lead_id: int | None = None
    fb_login_id: int | None = None
    page_id: str | None = None
    page_scoped_user_id: str | None = None
    ctwa_clid: str | None = None
    ig_account_id: str | None = None
    ig_sid: str | None = None
    anon_id: str | None = None
    madid: str | None = None


class Content(Struct, omit_defaults=True, kw_only=True):
    """One product of the event."""

    id: str
    quantity: int | float
    item_price: int | float | None = None
    title: str | None = None
    description: str | None = None
    brand: str | None = None
    category: str | None = None
    delivery_category: str | None = None


class ServerEvent(Struct, omit_defaults=True, kw_only=True):
    """One event of the array `data`."""

    event_name: str
    event_time: int
    """Unix seconds."""
    event_id: str | None = None
    action_source: str | None = None
    event_source_url: str | None = None
    referrer_url: str | None = None
    user_data: UserData
    custom_data: dict[str, Any] | None = None
    opt_out: bool = False
    data_processing_options: list[str] | None = None
    data_processing_options_country: int | None = None
    data_processing_options_state: int | None = None
    app_data: dict[str, Any] | None = None
    original_event_data: dict[str, Any] | None = None
    attribution_data: dict[str, Any] | None = None
    messaging_channel: str | None = None
    customer_segmentation: str | None = None
    advanced_measurement_table: str | None = None


def match_keys(event: ServerEvent) -> tuple[str, ...]:
    """Which customer parameters the event carries, for a match-quality report (R137)."""
    return tuple(key for key in UserData.__struct_fields__ if getattr(event.user_data, key) is not None)


def advice(event: ServerEvent) -> list[str]:
    """What Meta asks for and takes without. SPEC: meta-capi 3 (website), 7, 12."""
    said = []
    if event.action_source == "website":
        if event.event_source_url is None:
            said.append("a website event needs page_location")
        if event.user_data.client_user_agent is None:
            said.append("a website event needs user_agent")
    details = event.custom_data or {}
    if "value" in details and "currency" not in details:
        said.append("value has no currency")
    is_located = event.data_processing_options_country or event.user_data.client_ip_address
    if event.data_processing_options and not is_located:
        said.append("limited data use without an address needs a country and a state")
    return said


def seconds(time: float) -> int:
    """Whole Unix seconds, also out of milliseconds or microseconds. SPEC: meta-capi 3, event_time."""
    if time > 1e14:
        return int(time // 1_000_000)
    return int(time // 1_000) if time > 1e11 else int(time)


# -- the last gate: no personal data in the clear (R268) ---------------------------------------

_MARKS = (b"@", b"%40", b"%2540")
_EMAIL = re.compile(r"(?<![\w.+'%-])[\w.+'%-]+(?:@|%(?:25)?40)[\w-][\w.-]{0,253}\.\w{2,24}(?!\w)")
"""Begins only where no character of a name stands before, so the time is linear in the text."""


def encode_event(event: ServerEvent, warnings: list[str]) -> bytes:
    """The event as JSON. An e-mail address outside user_data (in a page URL, a search) is taken out."""
    try:
        item = msgspec.json.encode(event)
        if not any(mark in item for mark in _MARKS):
            return item
    except UnicodeEncodeError:
        item = b""
    clean = msgspec.json.encode(_in_clear(msgspec.to_builtins(event)))
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
