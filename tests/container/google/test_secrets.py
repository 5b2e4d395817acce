"""SPEC: sandbox-api 5.10.3.14. All values are invented."""

import pytest

from sgtm.container.google.secrets import find_secrets, hidden, is_secret, without_secrets


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("apiAccessToken", "abcdefgh"),
        ("accessToken", "abcdefgh"),
        ("access_token", "abcdefgh"),
        ("apiKey", "abcdefgh"),
        ("CONST - API Secret", "abcdefgh"),
        ("Authorization", "abcdefgh"),
        ("anything", "Bearer abcdefghijklmnop"),
        ("anything", "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl"),
        ("anything", "EAAinvented0invented1"),
        ("anything", "0123456789abcdef0123456789abcdef"),
        ("url", "https://user:invented1@host.example/x"),
        ("url", "https://host.example/x?a=1&access_token=invented1"),
        ("anything", "-----BEGIN PRIVATE KEY-----\nMIIinvented\n"),
    ],
)
def test_secrets_are_known_by_name_or_looks(label, text):
    assert is_secret(text, label)


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("accessToken", "{{Access Token}}"),
        ("accessToken", "${ACCESS_TOKEN}"),
        ("accessToken", "no"),
        ("itemIdKey", "product_id"),
        ("tokenType", "identifier"),
        ("key", "event_name"),
        ("url", "https://vendor.example/a/path/that/is/long/enough/to/be/anything"),
        ("url", "https://user@host.example/x?page_token_type=plain&q=shoes"),
        ("measurementId", "G-ABC1234567"),
        ("keyPath", "user_data.address.0.city"),
        ("text", "thirty-two-letters-and-not-a-digit-in-it"),
        ("Secret of our bread", "it takes time"),
    ],
)
def test_what_is_no_secret_stays(label, text):
    assert not is_secret(text, label)


def test_secrets_are_found_in_constants_fields_and_rows_and_share_a_variable_where_they_are_equal():
    data = {
        "variables": [
            {"name": "CONST - API Token", "type": "constant", "parameters": {"value": "invented1"}}
        ],
        "tags": [
            {"name": "Meta", "type": "cvt_1", "parameters": {"accessToken": "invented1", "pixel": "12"}},
            {
                "name": "Access token",
                "type": "cvt_2",
                "parameters": {"headers": [{"name": "Authorization", "value": "invented2"}]},
            },
        ],
    }
    secrets = find_secrets(data)
    assert [(one.variable, one.place) for one in secrets] == [
        ("CONST_API_TOKEN", 'variable "CONST - API Token"'),
        ("CONST_API_TOKEN", 'tag "Meta".accessToken'),
        ("ACCESS_TOKEN_HEADERS", 'tag "Access token".headers'),
    ]
    clean = without_secrets(data, secrets)
    assert "invented" not in str(clean)
    assert clean["tags"][1]["parameters"]["headers"][0] == {
        "name": "Authorization",
        "value": "${ACCESS_TOKEN_HEADERS}",
    }
    assert clean["tags"][0]["parameters"]["pixel"] == "12"


def test_two_secrets_of_one_name_get_variables_of_their_own():
    tags = [{"name": "A", "parameters": {"token": f"invented{i}"}} for i in (1, 2)]
    assert [one.variable for one in find_secrets({"tags": tags})] == ["A_TOKEN", "A_TOKEN_2"]


def test_tables_called_like_a_secret_conditions_and_what_only_repeats_one_are_found_too():
    data = {
        "variables": [
            {
                "name": "Access Token",
                "type": "lookup_table",
                "parameters": {
                    "input": "{{Debug Mode}}",
                    "rows": [{"key": "true", "value": "invented1"}, {"key": "false", "value": "invented2"}],
                    "default": "invented3",
                },
            }
        ],
        "triggers": [
            {
                "name": "T",
                "type": "all_events",
                "conditions": [
                    {"value": "{{API Key}}", "operator": "equals", "compare_with": "invented4"},
                    {"value": "{{Page}}", "operator": "equals", "compare_with": "invented5"},
                ],
            }
        ],
    }
    found = find_secrets(data)
    assert [secret.value for secret in found] == ["invented1", "invented2", "invented3", "invented4"]
    assert "invented5" in str(without_secrets(data, found))
    assert "invented4" not in str(without_secrets(data, found))


def test_what_a_header_is_compared_with_is_called_as_the_header():
    shop = {"part": "header", "name": "X-Shop", "operator": "equals", "compare_with": "invented1"}
    match = [shop, {**shop, "name": "X-Access-Token", "compare_with": "invented2"}]
    path = {"part": "path", "operator": "equals", "compare_with": "/invented"}
    found = find_secrets({"clients": [{"name": "A", "type": "json", "match": [*match, path]}]})
    assert [secret.value for secret in found] == ["invented2"]


def test_secrets_are_hidden_also_in_urls():
    secrets = {"a/b+c=12": "TOKEN"}
    data = {"url": "https://x.example/?t=a%2Fb%2Bc%3D12", "body": ["a/b+c=12!"], "status": 200}
    assert hidden(data, secrets) == {
        "url": "https://x.example/?t=${TOKEN}",
        "body": ["${TOKEN}!"],
        "status": 200,
    }
