"""Where settings come from: flags, variables of the environment, a settings file, in this order.

Everything is read as the text that a person wrote, and judged with one kind of error.
"""

import argparse
import difflib
import ipaddress
import re
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta
from msgspec.structs import FieldInfo, fields

from sgtm.errors import SettingsError
from sgtm.settings import FILE, Settings

_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*", re.IGNORECASE | re.ASCII)
_BROKER = re.compile(r"(nats|tls)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_MONITORING = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_NUMBERS = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.IGNORECASE | re.ASCII)
"""What ends in a number is an address (WHATWG URL, 3.5), so it is to be a proper one."""


def variable_of(field_name: str) -> str:
    """Name of the environment variable of a field: `port` -> `SGTM_PORT`."""
    return f"SGTM_{field_name.upper()}"


def flag_of(field: FieldInfo) -> str:
    """Name of the flag of a field: `drain_delay_s` -> `--drain-delay-s`."""
    return str(_extra(field).get("flag", "--" + field.name.replace("_", "-")))


def add_arguments(parser: argparse.ArgumentParser, only: Container[str] | None = None) -> None:
    """Add a flag for every field, or for those in `only`. Values stay text: `load` judges them all, with
    one kind of error."""
    for field in fields(Settings):
        if only is not None and field.name not in only:
            continue
        parser.add_argument(
            flag_of(field),
            dest=field.name,
            **_action(field),
            help=f"{_description(field)} [{variable_of(field.name)}; {_default_text(field)}]".replace(
                "%", "%%"
            ),
        )


def load(
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    file: Mapping[str, Any] = {},
    file_name: str = "",
) -> Settings:
    """Settings from parsed flags (None: not given), the environment, and what a settings file says, in this
    order. Raises SettingsError."""
    values: dict[str, Any] = {}
    for name, value in file.items():
        values[name] = _read_written(name, value, f"{file_name}: {name}")
    for field in fields(Settings):
        flag, variable = flags.get(field.name), environment.get(variable_of(field.name))
        if flag is not None:
            values[field.name] = _read(field, flag, flag_of(field))
        elif variable:
            text = variable.replace(",", " ").split() if _is_list(field) else variable
            values[field.name] = _read(field, text, variable_of(field.name))
    return Settings(**values)


def settings_file_of(flags: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    """Path of the settings file, or empty: it is known before the settings are."""
    return str(flags.get(FILE) or environment.get(variable_of(FILE)) or "")


def _read_written(name: str, value: Any, where: str) -> Any:
    """A value of a settings file: a scalar, or a list of them for what can be given several times."""
    known = {field.name: field for field in fields(Settings) if field.name != FILE}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        mend = f"Did you mean {near[0]}?" if near else "See docs/reference/settings.md for all of them"
        raise SettingsError("is no setting", where=where, mend=mend)
    field = known[name]
    items = value if isinstance(value, list) else [value]
    if isinstance(value, list) != _is_list(field) or any(isinstance(item, (dict, list)) for item in items):
        wanted = "a list" if _is_list(field) else "one value"
        raise SettingsError(f"is not {wanted}", where=where, mend=_description(field).rstrip("."))
    texts = [_written_text(item) for item in items]
    return _read(field, texts if _is_list(field) else texts[0], where)


def _written_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def read_destination(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | str:
    """What `--egress-allow` names: a network (also of one address) or a host in lower case, where
    `*.` at its begin stands for any host below. Raises ValueError."""
    if "/" in text or ":" in text or _NUMBERS.fullmatch(text):
        return ipaddress.ip_network(text.strip("[]"))
    with suppress(ValueError):
        return read_host(text)
    raise ValueError(f"{text!r} is no network and no host")


def read_host(text: str) -> str:
    """A host in lower case; `*.` at its begin stands for any host below. Raises ValueError."""
    if _HOST.fullmatch(text) is None or len(text) > 253:
        raise ValueError(f"{text!r} is no host")
    return text.lower()


def _read_broker(text: str) -> str:
    """The address of a server of NATS, without credentials. Raises ValueError."""
    if _BROKER.fullmatch(text) is None:
        raise ValueError(
            "write nats://HOST:PORT or tls://HOST:PORT; user and password are settings of their own"
        )
    return text


def _read_monitoring(text: str) -> str:
    if _MONITORING.fullmatch(text) is None:
        raise ValueError("write http://HOST:PORT")
    return text


_READERS: dict[str, Callable[[str], Any]] = {
    "host_names": read_host,
    "nats_urls": _read_broker,
    "nats_monitoring_urls": _read_monitoring,
    "trusted_proxies": ipaddress.ip_network,
    "egress_allow": read_destination,
    "egress_sources": ipaddress.ip_address,
}


def _action(field: FieldInfo) -> dict[str, Any]:
    """How argparse takes a field: a yes or no is a flag alone."""
    if field.default is False:
        return {"action": "store_const", "const": "true"}
    metavar = _extra(field).get("metavar", field.name.rpartition("_")[2].upper())
    return {"action": "append" if _is_list(field) else "store", "metavar": metavar}


def _read(field: FieldInfo, value: Any, where: str) -> Any:
    if isinstance(value, list):
        value = [part for item in value for part in item.replace(",", " ").split()]
    try:
        result = msgspec.convert(value, field.type, strict=False)
        if field.name in _READERS:
            for text in result:
                _READERS[field.name](text)
    except ValueError as error:  # msgspec.ValidationError is one
        raise SettingsError(
            f"{_shown(value)} cannot be used: {error}", where=where, mend=_mend(field)
        ) from None
    return result


def _mend(field: FieldInfo) -> str:
    plain_type = get_args(field.type)[0]
    if get_origin(plain_type) is Literal:
        return f"Write one of: {', '.join(get_args(plain_type))}"
    return _description(field).rstrip(".")


def _shown(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else repr(value)


def _meta(field: FieldInfo) -> Meta:
    return next(
        part for part in reversed(field.type.__metadata__) if isinstance(part, Meta) and part.description
    )


def _description(field: FieldInfo) -> str:
    return str(_meta(field).description)


def _extra(field: FieldInfo) -> dict[str, Any]:
    return _meta(field).extra or {}


def _is_list(field: FieldInfo) -> bool:
    return isinstance(field.default, tuple)


def _default_text(field: FieldInfo) -> str:
    return "none unless given" if field.default in ((), None) else f"default {field.default}"
