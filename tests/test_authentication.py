"""The parameters that say how a tag proves who it is: what `check` finds, what is made of them."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgtm.authentication import AuthParameters, check_auth, credential_use
from sgtm.component import Secret

TOKEN_URL = "https://login.example/token"
CLIENT = {"token_url": TOKEN_URL, "client_id": "17", "client_secret": Secret("CLIENT")}
COMPLETE = {
    "none": {},
    "bearer": {"secret": Secret("KEY")},
    "basic": {"secret": Secret("KEY")},
    "header": {"secret": Secret("KEY"), "auth_key": "X-Key"},
    "oauth2_refresh": {**CLIENT, "refresh_token": Secret("REFRESH")},
    "client_credentials": CLIENT,
    "google_service_account": {"service_account": Secret("FILE"), "scope": "https://www.googleapis.com/x"},
}
# SPEC: requirements R105; a parameter too many is a misunderstanding, one too few sends nothing good.


def found(auth, **parameters):
    return [(one.severity, one.where, one.what) for one in check_auth({"auth": auth, **parameters}, "tag")]


@pytest.mark.parametrize("auth", COMPLETE)
def test_what_is_complete_has_no_problems_and_makes_a_credential(auth):
    assert found(auth, **COMPLETE[auth]) == []
    use = credential_use(AuthParameters(auth=auth, **COMPLETE[auth]))
    assert (use is None) == (auth == "none")


@pytest.mark.parametrize("auth", ["oauth2_refresh", "client_credentials"])
def test_scope_and_client_auth_may_be_said(auth):
    assert found(auth, **COMPLETE[auth], scope="a b", client_auth="basic") == []


@pytest.mark.parametrize(
    ("auth", "name"), [(auth, name) for auth, parameters in COMPLETE.items() for name in parameters]
)
def test_each_one_that_is_missing_is_named(auth, name):
    rest = {key: value for key, value in COMPLETE[auth].items() if key != name}
    assert found(auth, **rest) == [("error", "tag", f"auth {auth!r} has no {name}")]


EVERY = {
    **{name: value for parameters in COMPLETE.values() for name, value in parameters.items()},
    "client_auth": "basic",
}


@pytest.mark.parametrize(
    ("auth", "unused"),
    [
        ("none", set(EVERY)),
        ("bearer", set(EVERY) - {"secret"}),
        ("header", set(EVERY) - {"secret", "auth_key"}),
        ("oauth2_refresh", {"secret", "auth_key", "service_account"}),
        ("client_credentials", {"secret", "auth_key", "service_account", "refresh_token"}),
        ("google_service_account", set(EVERY) - {"service_account", "scope"}),
    ],
)
def test_each_one_that_is_superfluous_is_named(auth, unused):
    assert {where.removeprefix("tag.") for _, where, what in found(auth, **EVERY)} == unused


@pytest.mark.parametrize(
    ("url", "is_good"),
    [
        (TOKEN_URL, True),
        ("http://127.0.0.1:8080/token", True),
        ("http://[::1]/token", True),
        ("http://localhost/token", True),
        ("http://login.example/token", False),
        ("http://10.0.0.7/token", False),
        ("http://127.0.0.1.example/", False),
        ("http://127.0.0.1@login.example/", False),
        ("http://localhost\\@login.example/", False),
        ("ftp://login.example/", False),
        ("login.example/token", False),
        ("http://[::1/", False),
    ],
)
def test_a_token_url_is_https_or_of_this_machine(url, is_good):
    # reliability 3.5: secrets never go unencrypted over a network
    expected = [] if is_good else [("error", "tag.token_url", "is not an https address")]
    assert found("client_credentials", **{**CLIENT, "token_url": url}) == expected


@pytest.mark.parametrize("name", ["token_url", "client_id", "scope"])
def test_no_event_chooses_where_secrets_go_or_how_many_tokens_there_are(name):
    parameters = {**COMPLETE["oauth2_refresh"], name: "{{x}}"}
    assert found("oauth2_refresh", **parameters) == [("error", f"tag.{name}", "comes from a variable")]


def test_a_service_account_needs_the_package_that_signs(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    (problem,) = check_auth({"auth": "google_service_account", **COMPLETE["google_service_account"]}, "tag")
    assert problem.severity == "error"
    assert problem.mend == "pip install 'sgtm[google]'"


@given(
    st.dictionaries(st.sampled_from(AuthParameters.__struct_fields__), st.none() | st.integers() | st.text())
)
def test_parameters_of_any_kind_never_make_check_raise(parameters):
    assert isinstance(check_auth(parameters, "tag"), list)


@pytest.mark.parametrize("auth", ["oauth2_refresh", "client_credentials", "google_service_account", "bearer"])
def test_without_its_secret_there_is_no_credential(auth):
    assert credential_use(AuthParameters(auth=auth)) is None
