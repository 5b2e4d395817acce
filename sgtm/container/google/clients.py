"""Clients of an export, with the settings that change what the world sees: paths, cookies, scripts.

A client acts before there is an event, so its settings may come from constants and from no other
variable. SPEC: sandbox-api 5.6, 5.10.2 (K7, K8, K16); ga4-protocol 5.1, 5.2.
"""

import re
from typing import Any

from sgtm.container.google.components import component_of, parameters
from sgtm.container.google.export import Entity, Export, integer, rows, text_of, texts
from sgtm.cookies import MAX_AGE_CAP_S

ANSWER_STATUS = 200
"""A claimed hit of an export (SPEC: design.md, Decisions)."""
SAME_SITE = {"lax": "Lax", "strict": "Strict", "none": "None"}
_GTAG_ID = re.compile("[A-Z]+-[A-Za-z0-9-]+")
_CONTAINER_ID = re.compile("GTM-[A-Z0-9]+")
_HOST = re.compile(r"(?:https?://)?([A-Za-z0-9.-]+(?::[0-9]{1,5})?)(?:/|$)")
_PATH = re.compile(r"/[^?#\s]*")


def clients(export: Export) -> list[dict[str, Any]]:
    """The clients of container.yaml."""
    return [found for entity in export.entities["clients"] if (found := _client(export, entity))]


def _client(export: Export, entity: Entity) -> dict[str, Any]:
    component = component_of(export, entity, "client")
    read = parameters(export, entity, component, _READ.get(entity.type))
    found: dict[str, Any] = {"name": entity.name, "type": component.type}
    priority = integer(entity.data.get("priority"), 0)
    if priority:
        found["priority"] = priority
    if entity.parameters.get("activateDefaultPaths") is False and not read.get("gtag_ids"):
        export.remark(entity, "has no path that it could claim: it is paused", "activate its default paths")
        found["is_paused"] = True
    return found | ({"parameters": read} if read else {})


def _setting(export: Export, entity: Entity, written: dict[str, Any], key: str, otherwise: Any) -> Any:
    """A setting, through constants; `otherwise` where there is none or another variable gives it."""
    value = written.pop(key, otherwise)
    known = export.constant(value)
    if known is None:
        what = f"its setting `{key}` comes from {value}, which is no constant: it is left out"
        export.remark(entity, what, "a client acts before there is an event: write the value itself")
        return otherwise
    return known


def _ga4(export: Export, entity: Entity, written: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"answer": ANSWER_STATUS}
    gtag_ids = _ids(export, entity, rows(written.pop("gtagMeasurementIds", [])), "measurementId", _GTAG_ID)
    if written.pop("activateGtagSupport", False) is True and gtag_ids:
        found["gtag_ids"] = gtag_ids
    if written.pop("activateDefaultPaths", True) is False and "gtag_ids" in found:
        found["paths"] = []
    if _setting(export, entity, written, "cookieManagement", "js") == "server":
        found["cookie_management"] = "server"
    if written.pop("migrateFromJsClientId", False) is True:
        found["migrate_from_js_client_id"] = True
    for ours, theirs in (
        ("cookie_name", "cookieName"),
        ("cookie_domain", "cookieDomain"),
        ("cookie_path", "cookiePath"),
    ):
        value = text_of(_setting(export, entity, written, theirs, ""))
        if value:
            found[ours] = value
    same_site = text_of(_setting(export, entity, written, "cookieSamesite", "")).lower()
    if same_site in SAME_SITE:
        found["cookie_same_site"] = SAME_SITE[same_site]
    life = integer(_setting(export, entity, written, "cookieMaxAgeInSec", ""), None)
    if life is not None and life > 0:
        found["cookie_max_age_s"] = _life(export, entity, life)
    return found | _scripts(export, entity, written, is_serving="gtag_ids" in found)


def _life(export: Export, entity: Entity, life_s: int) -> int:
    """SPEC: design.md, Decisions (lifetimes above 400 days are cut and reported)."""
    if life_s > MAX_AGE_CAP_S:
        what = f"its cookies live {life_s} seconds; browsers keep none longer than 400 days: cut"
        export.remark(entity, what, f"write {MAX_AGE_CAP_S} in Tag Manager, so that it says what happens")
    return min(life_s, MAX_AGE_CAP_S)


def _web_container(export: Export, entity: Entity, written: dict[str, Any]) -> dict[str, Any]:
    table = rows(written.pop("allowedContainerIds", []))
    found: dict[str, Any] = {
        "allowed_container_ids": _ids(export, entity, table, "containerId", _CONTAINER_ID)
    }
    paths = {}
    for row in table:
        id_, path = export.constant(row.get("containerId", "")), export.constant(row.get("path", ""))
        if id_ in found["allowed_container_ids"] and isinstance(path, str) and path:
            if _PATH.fullmatch(path):
                paths[id_] = path
            else:
                export.remark(entity, f"{path!r} is no path: it is left out", "write it as /name.js")
    if paths:
        found["container_paths"] = paths
    if written.pop("isPathMandatory", False) is True and paths:
        found["is_path_mandatory"] = True
    return found | _scripts(export, entity, written, is_serving=True)


def _ids(
    export: Export, entity: Entity, table: list[dict[str, Any]], key: str, form: re.Pattern[str]
) -> list[str]:
    """Ids of a table, through constants; those that are none are reported."""
    found = []
    for row in table:
        written = row.get(key, "")
        id_ = export.constant(written)
        if isinstance(id_, str) and form.fullmatch(id_.strip()):
            found.append(id_.strip())
        elif written:
            what = f"{text_of(written)!r} gives no id: nothing is served for it"
            export.remark(entity, what, "write the id itself, or a constant that holds it")
    return list(dict.fromkeys(found))


def _scripts(export: Export, entity: Entity, written: dict[str, Any], *, is_serving: bool) -> dict[str, Any]:
    """How scripts are served."""
    written.pop("region", None)
    found: dict[str, Any] = {}
    is_compressed = written.pop("activateResponseCompression", True)
    has_region = written.pop("activateGeoResolution", False)
    has_dependencies = written.pop("activateDependencyServing", False)
    if not is_serving:
        return found
    if is_compressed is False:
        found["compress"] = False
    if has_region is True:
        what = "scripts come without the visitor's region: consent defaults by region follow this server's"
        export.remark(entity, what, "set the consent defaults in the page, for all regions")
    if has_dependencies is True:
        found["dependency_hosts"] = _own_hosts(export)
        if not found["dependency_hosts"]:
            what = (
                "what its scripts load besides themselves comes from Google's own domains: the file does not "
            )
            export.remark(entity, f"{what}name this server", "write `dependency_hosts` in the settings file")
    return {key: value for key, value in found.items() if value != []}


def _own_hosts(export: Export) -> list[str]:
    """Hosts of this server, as Tag Manager knows them."""
    container = export.version.get("container")
    urls = container.get("taggingServerUrls") if isinstance(container, dict) else None
    hosts = [_HOST.match(url) for url in texts(urls)]
    return list(dict.fromkeys(match[1].lower() for match in hosts if match))


def _measurement_protocol(export: Export, entity: Entity, written: dict[str, Any]) -> dict[str, Any]:
    path = text_of(_setting(export, entity, written, "activationPath", ""))
    found: dict[str, Any] = {"status": ANSWER_STATUS}
    if path:
        found["activation_path"] = path if path.startswith("/") else f"/{path}"
    return found


def _universal_analytics(export: Export, entity: Entity, written: dict[str, Any]) -> dict[str, Any]:
    """SPEC: sandbox-api 5.6 (the keys of GA4's cookies), ga4-protocol 4 (one event per hit)."""
    if _setting(export, entity, written, "cookieManagement", "js") == "server":
        what = "visitors keep the id that their hit brings: it sets no cookie of the server's own"
        export.remark(entity, what, "see docs/reference/clients/universal_analytics.md")
    for key in [key for key in written if key.startswith("cookie") or key == "migrateFromJsClientId"]:
        del written[key]
    written.pop("activateDefaultPaths", None)
    return {"splits_ecommerce": False}


_READ = {
    "gaaw_client": _ga4,
    "gtm_client": _web_container,
    "mpaw_client": _measurement_protocol,
    "ua_client": _universal_analytics,
}
