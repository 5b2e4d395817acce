"""User Agent Part: browser, operating system and kind of device by the event's `user_agent`, or is it a bot.

Names and versions are those of the ua-parser project. Browsers keep their version and that of the system out
of the text today; where the event has client hints (`client_hints`), the true ones come from there. Needs the
package `ua-parser` (`pip install 'sgtm[ua]'`).
"""

import re
from functools import cache, lru_cache
from importlib import import_module
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct

from sgtm.component import variable
from sgtm.errors import Problem
from sgtm.event import Event, undefined
from sgtm.javascript import text_of
from sgtm.variables._defaults import Default, or_default

MAX_LENGTH = 1024
"""What stands behind in a longer text is not read."""
MAX_KEPT = 2048
"""Different texts of which the parts are remembered."""


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of which text."""

    part: Annotated[
        Literal["browser", "browser_version", "os", "os_version", "device_type", "is_bot"],
        Meta(
            description="`device_type` is `desktop`, `mobile`, `tablet`, `tv` or `bot`; `is_bot` is true or "
            "false."
        ),
    ] = "browser"
    user_agent: Annotated[
        Any,
        Meta(
            description="The text; nothing: the event's `user_agent`, together with its client hints.",
            examples=["{{Visitor User Agent}}"],
        ),
    ] = UNSET
    default: Default = UNSET


class _Parts(Struct, frozen=True):
    """What a text says. Empty: nothing."""

    browser: str
    browser_version: str
    os: str
    os_version: str
    device_type: str
    is_bot: bool


def check_package(parameters: dict[str, Any], where: str) -> list[Problem]:
    """The package is not there. Loads its rules, so that the first event need not."""
    try:
        _parser()
    except ImportError:
        return [Problem("error", "needs the package `ua-parser`", where, "pip install 'sgtm[ua]'")]
    return []


@variable("user_agent_part", check=check_package)
def resolve(event: Event, parameters: Parameters) -> Any:
    """The part; no text, or one that does not tell, is undefined.

    SPEC: requirements R149; ga4-protocol 2.5 (client hints)."""
    is_own = not parameters.user_agent
    text = (event.text("user_agent") or "") if is_own else text_of(parameters.user_agent)
    hints = event.get("client_hints") if is_own else undefined
    hints = hints if isinstance(hints, dict) else {}
    if not text and not hints:
        return parameters.default
    value = _part(parameters.part, _parts_of(text[:MAX_LENGTH]), hints)
    return or_default(undefined if value == "" else value, parameters.default)


def _part(part: str, said: _Parts, hints: dict[str, Any]) -> Any:
    match part:
        case "browser":
            brand, _ = _brand(hints, "brands", "full_version_list")
            return brand if brand and _is_plain_chrome(said.browser) else said.browser
        case "browser_version":
            return _brand(hints, "full_version_list")[1] or said.browser_version
        case "os":
            return said.os or _hint(hints, "platform")
        case "os_version":
            return _system_version(hints) or said.os_version
        case "device_type":
            is_mobile = hints.get("mobile") is True and said.device_type in ("", "desktop")
            return "mobile" if is_mobile else said.device_type
    return said.is_bot


# -- client hints ------------------------------------------------------------------------------

_NO_BRAND = re.compile(r"not\W*a?\W*brand", re.IGNORECASE)
"""Browsers put a brand that is none on the list, written differently each time."""
_CHROMES = {"Google Chrome": "Chrome", "Microsoft Edge": "Edge"}


def _is_plain_chrome(browser: str) -> bool:
    """Whether the text says no more than that the browser is made like Chrome."""
    return browser in ("", "Chrome")


def _brand(hints: dict[str, Any], *lists: str) -> tuple[str, str]:
    """(name, version) of the browser in the first of these lists that has one; Chromium is what most are
    made of, so its name counts last."""
    for name in lists:
        entries = hints.get(name)
        named = [
            (brand, entry.get("version", ""))
            for entry in (entries if isinstance(entries, list) else ())
            if isinstance(entry, dict) and isinstance(brand := entry.get("brand"), str) and brand
        ]
        named = [one for one in named if isinstance(one[1], str) and not _NO_BRAND.search(one[0])]
        named.sort(key=lambda one: one[0] == "Chromium")
        if named:
            brand, version = named[0]
            return _CHROMES.get(brand, brand), version
    return "", ""


def _hint(hints: dict[str, Any], name: str) -> str:
    """A text of the hints; those that came as headers still have their quotes (ga4-protocol 2.5)."""
    value = hints.get(name)
    return value.strip('"') if isinstance(value, str) else ""


_OLD_WINDOWS = {"0.1": "7", "0.2": "8", "0.3": "8.1"}


def _system_version(hints: dict[str, Any]) -> str:
    """Version of the system. Windows counts differently in hints: from 13 on it is Windows 11."""
    version = _hint(hints, "platform_version")
    if not version or _hint(hints, "platform") != "Windows":
        return version
    major, _, rest = version.partition(".")
    if major == "0" or not major.isdecimal():
        return _OLD_WINDOWS.get(f"{major}.{rest.partition('.')[0]}", "")
    return "11" if int(major[:9]) >= 13 else "10"


# -- the text ----------------------------------------------------------------------------------

_TV = re.compile(r"\bTV\b|SmartTV|SMART-TV|AppleTV|GoogleTV|BRAVIA|CrKey|\bRoku|\bAFT[A-Z]|HbbTV|NetCast")
_TABLET = re.compile(r"iPad|Tablet|Kindle|Silk/|PlayBook")
_PHONE = re.compile(r"Mobi|iPhone|iPod|Phone")
_DESKTOP = re.compile(r"Windows NT|Macintosh|X11|CrOS|Linux")


@cache
def _parser() -> Any:
    """RE2 reads a text in a time that grows with its length only, whoever has written it."""
    ua_parser, resolver = import_module("ua_parser"), import_module("ua_parser.re2").Resolver
    return ua_parser.Parser(resolver(import_module("ua_parser.loaders").load_builtins()))


@lru_cache(maxsize=MAX_KEPT)
def _parts_of(text: str) -> _Parts:
    found = _parser().parse(text.encode("utf-8", "replace").decode())
    browser, system, device = found.user_agent, found.os, found.device
    is_bot = device is not None and device.family == "Spider"
    return _Parts(
        browser=browser.family if browser else "",
        browser_version=_version(browser),
        os=system.family if system else "",
        os_version=_version(system),
        device_type="bot" if is_bot else _device_type(text),
        is_bot=is_bot,
    )


def _version(found: Any) -> str:
    if found is None:
        return ""
    numbers = (found.major, found.minor, found.patch, found.patch_minor)
    return ".".join(number for number in numbers if number is not None)


def _device_type(text: str) -> str:
    if _TV.search(text):
        return "tv"
    if _TABLET.search(text):
        return "tablet"
    if _PHONE.search(text):
        return "mobile"
    if "Android" in text:  # phones say Mobile
        return "tablet"
    return "desktop" if _DESKTOP.search(text) else ""
