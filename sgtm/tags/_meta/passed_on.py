"""Parts of a server event that event data hold under Meta's own names, and limited data use.

Only keys that Meta documents are passed on. SPEC: meta-capi 3, 12.
"""

import re
from collections.abc import Sequence
from typing import Any

from sgtm.identifiers import plain_text
from sgtm.messages import EventData
from sgtm.tags._meta.custom_data import decoded, json_tree, number
from sgtm.tags._meta.event import seconds

APP_DATA = frozenset(
    {
        *("advertiser_tracking_enabled", "application_tracking_enabled", "extinfo", "campaign_ids"),
        *("install_referrer", "installer_package", "url_schemes", "vendor_id", "windows_attribution_id"),
        *("consider_views", "include_dwell_data", "include_video_data", "receipt_data"),
    }
)
ORIGINAL_EVENT_DATA = frozenset({"event_name", "event_time", "order_id", "event_id"})
ATTRIBUTION_DATA = frozenset(
    {
        *("scope", "visit_time", "ad_id", "adset_id", "campaign_id", "attribution_share"),
        *("attribution_model", "attr_window", "attribution_value", "attribution_source"),
        *("touchpoint_type", "touchpoint_ts", "attribution_method", "decline_reason", "auditing_token"),
        *("linkage_key", "touchpoint_id", "attribution_setting", "total_credit", "partner_client_id"),
    }
)
MESSAGING_CHANNELS = frozenset({"whatsapp", "messenger", "instagram"})
_SEGMENT = re.compile(
    r"(new_customer|existing_customer)_to_(business|business_line|product_area|medium)"
    r"|customer_in_loyalty_program"
)
EXTINFO_SIZE = 16


def passed_on(said: dict[str, Any], action_source: str, warnings: list[str]) -> dict[str, Any]:
    """Fields of the server event, by name, out of what the event says about itself."""
    found: dict[str, Any] = {}
    if action_source == "app" or "app_data" in said or "extinfo" in said:
        found["app_data"] = _app_data(said, action_source, warnings)
    if "original_event_data" in said:
        original = _known(said["original_event_data"], ORIGINAL_EVENT_DATA)
        if original and (time := number(original.get("event_time"))) is not None:
            original["event_time"] = seconds(time)
        found["original_event_data"] = original
    if "attribution_data" in said:
        found["attribution_data"] = _known(said["attribution_data"], ATTRIBUTION_DATA)
    if action_source == "business_messaging":
        found["messaging_channel"] = channel = said.get("messaging_channel")
        if channel not in MESSAGING_CHANNELS:
            warnings.append("business_messaging needs messaging_channel: whatsapp, messenger or instagram")
            del found["messaging_channel"]
    if "customer_segmentation" in said and _SEGMENT.fullmatch(said["customer_segmentation"]):
        found["customer_segmentation"] = said["customer_segmentation"]
    if "advanced_measurement_table" in said:
        found["advanced_measurement_table"] = said["advanced_measurement_table"]
    return {key: value for key, value in found.items() if value is not None} if found else found


def _known(value: Any, keys: frozenset[str]) -> dict[str, Any] | None:
    if value is None:
        return None
    tree = json_tree(decoded(value) if isinstance(value, str) else value)
    return (
        {key: item for key, item in tree.items() if key in keys} or None if isinstance(tree, dict) else None
    )


def _app_data(said: dict[str, Any], action_source: str, warnings: list[str]) -> dict[str, Any] | None:
    app_data = _known(said.get("app_data"), APP_DATA) or {}
    for key in ("advertiser_tracking_enabled", "application_tracking_enabled"):
        if isinstance(app_data.get(key), bool):
            app_data[key] = int(app_data[key])
    extinfo = app_data.get("extinfo", said.get("extinfo"))
    if isinstance(extinfo, list) and len(extinfo) <= EXTINFO_SIZE:
        texts = [plain_text(one) or "" for one in extinfo]
        app_data["extinfo"] = texts + [""] * (EXTINFO_SIZE - len(texts))
    elif app_data.pop("extinfo", None) is not None:
        warnings.append("app_data.extinfo is not a list of at most 16 texts; it is left out")
    if action_source == "app":
        needed = ("advertiser_tracking_enabled", "application_tracking_enabled", "extinfo")
        missing = [key for key in needed if key not in app_data]
        if missing:
            warnings.append(f"an app event needs app_data: {', '.join(missing)} missing")
    return app_data or None


def limited_data_use(
    data: EventData, said: Any, options: Sequence[str] | None, country: int | None, state: int | None
) -> dict[str, Any]:
    """Data processing options: of the event (`said`), else of the tag. A country brings a state, 0 (Meta
    decides from the address) where none is said. SPEC: meta-capi 12."""
    if isinstance(said, str):
        said = decoded(said) if said.strip().startswith("[") else [said] if plain_text(said) else None
    if isinstance(said, list):
        options = [text for one in said if (text := plain_text(one))]
    if options is None:
        return {}
    if not options:
        return {"data_processing_options": []}
    said_country = _whole(data.get("data_processing_options_country"))
    said_state = _whole(data.get("data_processing_options_state"))
    return {
        "data_processing_options": list(options),
        "data_processing_options_country": (country or 0) if said_country is None else said_country,
        "data_processing_options_state": (state or 0) if said_state is None else said_state,
    }


def _whole(value: Any) -> int | None:
    found = number(value)
    return int(found) if found is not None and 0 <= found < 1e6 else None
