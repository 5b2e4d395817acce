"""URL: one part of an address, by default of the page (`page_location`).

Parts are what Google's URL variable calls so: protocol, host, port, path, file extension, query, fragment.
"""

import re
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from msgspec import UNSET, Meta, Struct

from sgtm.component import variable
from sgtm.event import Event, undefined
from sgtm.javascript import text_of
from sgtm.protocols.query import read_query
from sgtm.variables._defaults import Default, or_default

Part = Literal["url", "protocol", "host", "port", "path", "extension", "query", "fragment"]


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of which address."""

    part: Annotated[
        Part, Meta(description="Which part; `url` is the whole address without its fragment.")
    ] = "url"
    url: Annotated[
        Any, Meta(description="The address; nothing: `page_location`.", examples=["{{Page Referrer}}"])
    ] = UNSET
    strip_www: Annotated[bool, Meta(description="For `host`: without `www.` (or `www2.`) before it.")] = False
    default_pages: Annotated[
        tuple[str, ...],
        Meta(
            description="For `path`: last segments that are left out.",
            examples=[["index.html", "default.asp"]],
        ),
    ] = ()
    query_keys: Annotated[
        tuple[str, ...],
        Meta(
            description="For `query`: names of parameters, of which the first that is there counts; none: "
            "the whole query."
        ),
    ] = ()
    ignore_empty: Annotated[
        bool, Meta(description="For `query`: empty values are passed over, and an empty query is undefined.")
    ] = False
    default: Default = UNSET


@variable("url_part", aliases=("u",))
def resolve(event: Event, parameters: Parameters) -> Any:
    """The part as text. No address, or one that nobody can read, has no parts.

    SPEC: google-runtime 3 (u)."""
    written = parameters.url or event.get("page_location")
    if not written:
        return parameters.default
    try:
        parts = urlsplit(text_of(written).strip())
        return or_default(_part(parts, parameters), parameters.default)
    except ValueError:
        return parameters.default


def _part(parts: SplitResult, parameters: Parameters) -> Any:
    match parameters.part:
        case "url":
            return parts._replace(fragment="").geturl()
        case "protocol":
            return parts.scheme
        case "host":
            return _host(parts, parameters.strip_www)
        case "port":
            return str(parts.port or _PORTS.get(parts.scheme, ""))
        case "path":
            return _path(parts, parameters.default_pages)
        case "extension":
            return _extension(parts.path)
        case "query":
            return _query(parts.query, parameters)
    return parts.fragment


_PORTS = {"http": "80", "https": "443"}


def _host(parts: SplitResult, strip_www: bool) -> str:
    host = (parts.hostname or "").lower()
    return re.sub(r"^www\d*\.", "", host) if strip_www else host


def _path(parts: SplitResult, default_pages: tuple[str, ...]) -> str:
    path = parts.path if parts.path.startswith("/") else f"/{parts.path}"
    before, slash, last = path.rpartition("/")
    return f"{before}{slash}" if last in default_pages else path


def _extension(path: str) -> str:
    _, dot, after = path.rpartition(".")
    return after.partition("/")[0] if dot else ""


def _query(query: str, parameters: Parameters) -> Any:
    names = [name for keys in parameters.query_keys for name in "".join(keys.split()).split(",") if name]
    if not names:
        return undefined if parameters.ignore_empty and not query else query
    values = read_query(query.encode("utf-8", "replace"))
    found = (values[name] for name in names if name in values)
    return next((value for value in found if value or not parameters.ignore_empty), undefined)
