"""Where a visitor is, as proxies and CDNs say it in headers of the request.

Anybody can write such a header, so they count only where the connection came from a trusted proxy
(SPEC: requirements R316). Names: Google's load balancer (as its guides have them added) and App
Engine, Cloudflare, CloudFront, Akamai, Vercel. SPEC: ga4-protocol, serving scripts (`X-Gclb-Region` is
`BRSP`); sandbox-api 5.5 (vr).
"""

import re
from urllib.parse import unquote

from msgspec import Struct

from sgtm.messages import IncomingRequest


class Place(Struct, frozen=True):
    """Where somebody is; what is unknown is empty."""

    country: str = ""
    """ISO 3166-1, two capitals."""
    region: str = ""
    """Code of the subdivision as in ISO 3166-2, without the country: `CA`, `SP`."""
    city: str = ""
    """Its name, as the source writes it."""

    @property
    def code(self) -> str:
        """`US-CA`, or `US` where the region is unknown."""
        return f"{self.country}-{self.region}" if self.country and self.region else self.country


class Names(Struct, frozen=True):
    """Headers (lower case) that one kind of proxy writes."""

    country: str
    region: str = ""
    city: str = ""


_PROXIES = (
    Names("x-gclb-country", "x-gclb-region", "x-gclb-city"),
    Names("x-appengine-country", "x-appengine-region", "x-appengine-city"),
    Names("cf-ipcountry", "cf-region-code", "cf-ipcity"),
    Names("cloudfront-viewer-country", "cloudfront-viewer-country-region", "cloudfront-viewer-city"),
    Names("x-vercel-ip-country", "x-vercel-ip-country-region", "x-vercel-ip-city"),
)
_AKAMAI = b"x-akamai-edgescape"
_COUNTRY = re.compile(r"[A-Z]{2}")
_UNKNOWN = frozenset({"XX", "ZZ", "AP", "EU"})
"""Two letters that proxies write where they do not know; `T1` (Tor) and `A1` are no letters."""
_REGION = re.compile(r"[A-Z0-9]{1,3}")


def place_of_headers(request: IncomingRequest, names: Names | None = None) -> Place | None:
    """The first place that a trusted proxy says; None where none does. `names`: only these headers."""
    if not request.is_peer_trusted:
        return None
    for one in (names,) if names is not None else _PROXIES:
        country = _country(_header(request, one.country))
        if country:
            region = _region(_header(request, one.region), country)
            return Place(country, region, unquote(_header(request, one.city)).strip())
    return None if names is not None else _akamai(request)


def _header(request: IncomingRequest, name: str) -> str:
    return (request.header(name.encode()) or "") if name else ""


def _akamai(request: IncomingRequest) -> Place | None:
    """`georegion=246,country_code=US,region_code=CA,city=SANFRANCISCO,...`"""
    said = dict(pair.partition("=")[::2] for pair in (request.header(_AKAMAI) or "").split(","))
    country = _country(said.get("country_code", ""))
    region = _region(said.get("region_code", ""), country)
    return Place(country, region, said.get("city", "").strip()) if country else None


def _country(text: str) -> str:
    country = text.strip().upper()
    return country if _COUNTRY.fullmatch(country) and country not in _UNKNOWN else ""


def _region(text: str, country: str) -> str:
    """`CA`, also of `US-CA` and of `USCA`; a code has three characters at most."""
    region = text.strip().upper()
    if region.startswith(f"{country}-") or (len(region) > 3 and region.startswith(country)):
        region = region[len(country) :].removeprefix("-")
    return region if _REGION.fullmatch(region) else ""
