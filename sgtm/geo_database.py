"""Where an address is, by a database file in MaxMind's format (GeoLite2, DB-IP and others).

A file is opened once by each process and mapped into memory, so looking an address up reads nothing
from a disk that has to be waited for. A container that is checked looks at the files again: a new file
under the same name counts from the next reload on. Needs the package `maxminddb` (`sgtm[geo]`).
"""

import logging
import os
from collections.abc import Mapping
from typing import Any

from sgtm.errors import SgtmError
from sgtm.geo_headers import Place

try:
    import maxminddb
except ImportError:  # an extra: only whoever names a database needs it
    maxminddb = None  # type: ignore[assignment]


class GeoDatabaseError(SgtmError):
    """A database that cannot be used."""


log = logging.getLogger("sgtm.geo")

_Stamp = tuple[int, int, int]
_NO_STAMP: _Stamp = (0, 0, 0)
_OPEN: dict[str, tuple[_Stamp, Any]] = {}
_default = ""


def use_database(path: str) -> None:
    """The database that is asked where a variable names none; empty: none. Raises GeoDatabaseError."""
    global _default
    if path:
        open_database(path)
    _default = path


def default_database() -> str:
    """Path of the database that is asked where a variable names none, or empty."""
    return _default


def open_database(path: str) -> None:
    """Open a file, or open it again if it is another one now. Raises GeoDatabaseError."""
    if maxminddb is None:
        raise GeoDatabaseError("needs the package `maxminddb`", where=path, mend="pip install 'sgtm[geo]'")
    try:
        found = os.stat(path)
        stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
        if path not in _OPEN or _OPEN[path][0] != stamp:
            _OPEN[path] = (stamp, maxminddb.open_database(path))
    except (OSError, ValueError, maxminddb.InvalidDatabaseError):
        mend = "name a readable file in MaxMind's format (.mmdb)"
        raise GeoDatabaseError("cannot be opened", where=path, mend=mend) from None


def place_of_address(address: str, path: str) -> Place | None:
    """Where the address is, as far as the database knows. A database that cannot be opened or is damaged
    knows nothing; that is logged once, and `open_database` tries again. Never raises."""
    reader = _OPEN[path][1] if path in _OPEN else _opened(path)
    if reader is None:
        return None
    try:
        record = reader.get(address)
    except (ValueError, maxminddb.InvalidDatabaseError):
        return None  # no address, or one of a kind that the file does not have
    return _place(record) if isinstance(record, dict) else None


def _opened(path: str) -> Any:
    try:
        open_database(path)
    except GeoDatabaseError as error:
        log.warning("no place is known: %s", error)
        _OPEN[path] = (_NO_STAMP, None)
    return _OPEN[path][1]


def _place(record: Mapping[str, Any]) -> Place | None:
    """SPEC: MaxMind's GeoIP2 schema: country.iso_code, subdivisions[0].iso_code, city.names.en."""
    country = _text(record.get("country"), "iso_code") or _text(record.get("registered_country"), "iso_code")
    subdivisions = record.get("subdivisions")
    first = subdivisions[0] if isinstance(subdivisions, list) and subdivisions else None
    city = record.get("city")
    names = city.get("names") if isinstance(city, dict) else None
    return Place(country, _text(first, "iso_code"), _text(names, "en")) if country else None


def _text(holder: Any, key: str) -> str:
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, str) else ""
