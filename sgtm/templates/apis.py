"""What each API needs to be allowed (SPEC: sandbox-api 1)."""

PERMISSION_OF: dict[str, str] = {
    **dict.fromkeys(
        [
            *("getRequestHeader", "getRequestBody", "getRequestMethod", "getRequestPath"),
            *("getRequestQueryParameter", "getRequestQueryParameters", "getRequestQueryString"),
            *("getRemoteAddress", "isRequestMpv1", "isRequestMpv2"),
            *("extractEventsFromMpv1", "extractEventsFromMpv2"),
        ],
        "read_request",
    ),
    **dict.fromkeys(
        ["setResponseStatus", "setResponseHeader", "setResponseBody", "setPixelResponse"], "access_response"
    ),
    **dict.fromkeys(["getContainerVersion", "getClientName"], "read_container_data"),
    **dict.fromkeys(["getAllEventData", "getEventData"], "read_event_data"),
    **dict.fromkeys(["addMessageListener", "hasMessageListener", "sendMessage"], "use_message"),
    **dict.fromkeys(
        ["sendHttpRequest", "sendHttpGet", "getGoogleScript", "sendEventToGoogleAnalytics"], "send_http"
    ),
    "getCookieValues": "get_cookies",
    "setCookie": "set_cookies",
    "returnResponse": "return_response",
    "sendPixelFromBrowser": "send_pixel_from_browser",
    "runContainer": "run_container",
    "addEventCallback": "read_event_metadata",
    "templateDataStorage": "access_template_storage",
    "getGoogleAuth": "use_google_credentials",
    "BigQuery": "access_bigquery",
    "Firestore": "access_firestore",
    "hmacSha256": "use_custom_private_keys",
    "logToConsole": "logging",
}
"""API -> permission; the others need none."""
