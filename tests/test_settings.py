"""Settings: one declaration gives flags, variables, bounds and errors."""

import argparse
from ipaddress import ip_network
from typing import Any, get_args

import msgspec
import pytest
from msgspec.structs import fields

from sgtm import settings_sources
from sgtm.errors import SettingsError
from sgtm.settings import Settings


def parse(*arguments: str, **environment: str) -> Settings:
    parser = argparse.ArgumentParser()
    settings_sources.add_arguments(parser)
    return settings_sources.load(vars(parser.parse_args(arguments)), environment)


def test_defaults_are_the_numbers_of_the_specification() -> None:
    # SPEC: reliability 2.4 (limits) and 6 (drain)
    default = parse()
    assert default == Settings()
    assert (default.collect_line_bytes, default.request_line_bytes) == (16_384, 8_192)
    assert (default.header_bytes, default.headers_bytes, default.header_count) == (8_192, 32_768, 100)
    assert (default.collect_body_bytes, default.body_bytes) == (131_072, 1_048_576)
    assert (default.keepalive_s, default.drain_delay_s, default.drain_timeout_s) == (75.0, 5.0, 10.0)
    assert (default.head_timeout_s, default.body_timeout_s, default.write_timeout_s) == (10.0, 10.0, 10.0)
    assert (default.body_rate_bytes, default.body_grace_s) == (1_024, 5.0)
    assert (default.connection_age_s, default.connection_requests) == (3_600.0, 10_000)
    assert (default.connections, default.connections_per_address) == (10_000, 200)
    # SPEC: reliability 5 rule 3: for webhooks and an admin listener 100/s, else off by default
    assert (default.request_rate, default.collect_rate, default.rate_burst) == (0, 0, 400)
    assert default.trusted_proxies == ()


def test_a_flag_wins_over_a_variable_and_a_variable_over_the_default() -> None:
    assert parse(SGTM_PORT="9000").port == 9000
    assert parse("--port", "9001", SGTM_PORT="9000").port == 9001
    assert parse(SGTM_PORT="").port == 8080


def test_several_values_come_from_repeated_flags_or_a_list_in_the_variable() -> None:
    networks = ("10.0.0.0/8", "2001:db8::/32")
    assert parse("--trusted-proxy", networks[0], "--trusted-proxy", networks[1]).trusted_proxies == networks
    assert parse("--trusted-proxy", ",".join(networks)).trusted_proxies == networks
    assert parse(SGTM_TRUSTED_PROXIES=", ".join(networks)).trusted_proxies == networks


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_every_field_can_be_given_as_flag_and_as_variable(field: Any) -> None:
    text = {
        "trusted_proxies": "10.0.0.0/8",
        "egress_allow": "::1",
        **dict.fromkeys(
            ["script_upstream", "firestore_url", "bigquery_url", "analytics_url"], "http://127.0.0.1:7"
        ),
        "nats_urls": "nats://127.0.0.1:7",
        "nats_monitoring_urls": "http://127.0.0.1:7",
        "path_prefix": "/x",
        "egress_proxy": "http://proxy:7",
        "egress_sources": "::1",
        "host": "::1",
        "archive": "7d",
        "log_requests": "0.7",
        "trace_share": "0.7",
        "trace_endpoint": "http://127.0.0.1:7/v1/traces",
    }.get(field.name, "7")
    choices = [one for one in get_args(get_args(field.type)[0]) if isinstance(one, str)]
    if choices:
        text = next(one for one in choices if one != field.default)
    elif field.default is False:
        text = "true"
    by_flag = parse(settings_sources.flag_of(field), *([] if text == "true" else [text]))
    by_variable = parse(**{settings_sources.variable_of(field.name): text})
    assert by_flag == by_variable != Settings()


@pytest.mark.parametrize(
    ("environment", "where", "says"),
    [
        ({"SGTM_PORT": "eighty"}, "SGTM_PORT", "'eighty'"),
        ({"SGTM_PORT": "65536"}, "SGTM_PORT", "<= 65535"),
        ({"SGTM_BODY_BYTES": "0"}, "SGTM_BODY_BYTES", ">= 1"),
        ({"SGTM_KEEPALIVE_S": "-1"}, "SGTM_KEEPALIVE_S", ">= 0"),
        ({"SGTM_DRAIN_DELAY_S": "nan"}, "SGTM_DRAIN_DELAY_S", "nan"),
        ({"SGTM_HOST": " "}, "SGTM_HOST", "Address or name"),
        ({"SGTM_LOG_LEVEL": "loud"}, "SGTM_LOG_LEVEL", "one of: debug, info, warning, error"),
        ({"SGTM_TRUSTED_PROXIES": "10.0.0.0/8 everyone"}, "SGTM_TRUSTED_PROXIES", "everyone"),
        ({"SGTM_SCRIPT_UPSTREAM": "http://www.googletagmanager.com"}, "SGTM_SCRIPT_UPSTREAM", "this machine"),
        ({"SGTM_SCRIPT_UPSTREAM": "https://a.example/path"}, "SGTM_SCRIPT_UPSTREAM", "this machine"),
        ({"SGTM_SCRIPT_STALE_S": "-1"}, "SGTM_SCRIPT_STALE_S", ">= 0"),
        ({"SGTM_TRUSTED_PROXIES": "10.0.0.1/8"}, "SGTM_TRUSTED_PROXIES", "host bits"),
        ({"SGTM_EGRESS_ALLOW": "10.0.0.0/8, 127.1"}, "SGTM_EGRESS_ALLOW", "127.1"),
        ({"SGTM_EGRESS_ALLOW": "https://db.internal"}, "SGTM_EGRESS_ALLOW", "https://db.internal"),
        ({"SGTM_EGRESS_ALLOW": "db.internal:80"}, "SGTM_EGRESS_ALLOW", "db.internal:80"),
        ({"SGTM_EGRESS_ALLOW": "*"}, "SGTM_EGRESS_ALLOW", "no network and no host"),
        ({"SGTM_AIRGAPPED": "perhaps"}, "SGTM_AIRGAPPED", "perhaps"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place(
    environment: dict[str, str], where: str, says: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(**environment)
    assert caught.value.where == where
    assert says in str(caught.value)
    assert caught.value.mend


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("10.0.0.0/8", ip_network("10.0.0.0/8")),
        ("10.1.2.3", ip_network("10.1.2.3/32")),
        ("[::1]", ip_network("::1/128")),
        ("fd00::/8", ip_network("fd00::/8")),
        ("DB.Internal", "db.internal"),
        ("*.internal.example", "*.internal.example"),
        ("warehouse", "warehouse"),
    ],
)
def test_a_destination_is_a_network_or_a_host(text: str, read: object) -> None:
    assert settings_sources.read_destination(text) == read


@pytest.mark.parametrize(
    "text", ["2130706433", "0x7f.1", "0177.0.0.1", "①②⑦.0.0.1", "*.*.example", "a..b", "", "*"]
)
def test_what_only_looks_like_one_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"(no network and no host|not appear to be)"):
        settings_sources.read_destination(text)


def test_an_error_of_a_flag_names_the_flag() -> None:
    with pytest.raises(SettingsError) as caught:
        parse("--trusted-proxy", "nonsense")
    assert caught.value.where == "--trusted-proxy"


def test_settings_are_immutable() -> None:
    with pytest.raises(AttributeError):
        Settings().port = 1  # type: ignore[misc]


def test_the_help_names_every_variable_and_describes_every_field() -> None:
    parser = argparse.ArgumentParser()
    settings_sources.add_arguments(parser)
    text = " ".join(parser.format_help().split())
    for field in fields(Settings):
        assert settings_sources.variable_of(field.name) in text
        assert settings_sources.flag_of(field) in text
    assert msgspec.json.schema(Settings)


def test_a_settings_file_comes_after_flags_and_variables() -> None:
    file = {"port": "1", "host": "file", "watch": True, "trusted_proxies": ["10.0.0.0/8", "::1/128"]}
    chosen = settings_sources.load(
        {"port": "3"}, {"SGTM_PORT": "2", "SGTM_HOST": "variable"}, file, "sgtm.yaml"
    )
    assert (chosen.port, chosen.host, chosen.watch) == (3, "variable", True)
    assert chosen.trusted_proxies == ("10.0.0.0/8", "::1/128")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ({"prot": "1"}, "sgtm.yaml: prot: is no setting. Did you mean port?"),
        ({"settings_file": "x"}, "sgtm.yaml: settings_file: is no setting"),
        ({"port": "many"}, "sgtm.yaml: port: 'many' cannot be used"),
        ({"port": ["1"]}, "sgtm.yaml: port: is not one value"),
        ({"trusted_proxies": "10.0.0.0/8"}, "sgtm.yaml: trusted_proxies: is not a list"),
        ({"port": {"a": 1}}, "sgtm.yaml: port: is not one value"),
    ],
)
def test_mistakes_of_a_settings_file_name_it(file: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        settings_sources.load({}, {}, file, "sgtm.yaml")
    assert str(raised.value).startswith(message)
