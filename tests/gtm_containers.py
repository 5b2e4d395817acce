"""Containers with templates, for tests of whole servers."""

from collections.abc import Iterable, Mapping
from typing import Any

from gtm_templates import EVENT, LOG, URLS, template, text_field

SENDER = template(
    "TAG",
    """
const event = require('getAllEventData')();
require('logToConsole')('sending', event.event_name);
const body = require('JSON').stringify({name: event.event_name, product: data.product, loud: data.loud});
require('sendHttpRequest')(data.url, {method: 'POST', timeout: 3000}, body).then(
  answer => answer.statusCode < 300 ? data.gtmOnSuccess() : data.gtmOnFailure(),
  data.gtmOnFailure);
""",
    URLS,
    EVENT,
    LOG,
    fields=[
        text_field("url", valueValidators=[{"type": "NON_EMPTY"}]),
        text_field("product"),
        {"type": "CHECKBOX", "name": "loud", "defaultValue": True},
    ],
)
"""A tag that posts the event's name to `url`, and succeeds where that is taken."""
ORDERS = {"name": "Orders", "type": "json", "parameters": {"paths": ["/orders"]}}
PRODUCT = {"name": "Product", "type": "event_data", "parameters": {"key_path": "product"}}


def container(
    templates: Mapping[str, str],
    *,
    clients: Iterable[dict[str, Any]] = (ORDERS,),
    variables: Iterable[dict[str, Any]] = (PRODUCT,),
    tags: Iterable[dict[str, Any]] = (),
) -> dict[str, Any]:
    """A container.yaml with templates by name. Its client takes JSON at /orders, its tags fire always."""
    return {
        "sgtm": 1,
        "consent": {"unset": "granted", "gate": "declared"},
        "clients": list(clients),
        "variables": list(variables),
        "tags": [{"firing_triggers": ["All Events"], **tag} for tag in tags],
        "custom_templates": [{"name": name, "source": text} for name, text in templates.items()],
    }


def sender(url: str, name: str = "Sender", **parameters: Any) -> dict[str, Any]:
    """A tag of SENDER."""
    return {"name": name, "type": "Sender", "parameters": {"url": url, **parameters}}


def plain(url: str, name: str = "Plain", **body: Any) -> dict[str, Any]:
    """A tag of sgtm's own."""
    return {"name": name, "type": "http_request", "parameters": {"url": url, "body": {"json": body}}}
