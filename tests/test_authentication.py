"""The parameters that say how a tag proves who it is: what `check` finds, what is made of them."""

import hashlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgtm.authentication import AuthParameters, check_auth, credential_use, is_known, is_proven
from sgtm.component import Secret
from sgtm.errors import SgtmError
from sgtm.messages import Proof

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


# -- whether a sender knows a secret: SPEC: reliability 5.5, requirements R77 --------------------

KEY, OLD = "key", "old key"
VALUES = {
    "NEW": KEY,
    "OLD": OLD,
    "B64": "whsec_a2V5",
    "DAMAGED": "whsec_%",
    "EMPTY": "whsec_",
    "HALF": "whsec_a2V5%",
}
TEXT = b"The quick brown fox jumps over the lazy dog"
# the HMACs of `key` and this text are in Wikipedia's article on HMAC; sha256 is printf | sha256sum
SHOWN = {
    "hmac_sha1": "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9",
    "hmac_sha256": "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8",
    "hmac_sha512": "b42af09057bac1e2d41708e48a902e09b5ff7f12ab428a4fe86653c73dd248fb"
    "82f948a549f7b791a5b41915ee4d1ec3935357e4e2317250d0372afa2ebeeb3a",
    "sha256": hashlib.sha256(b"key" + TEXT).hexdigest(),
}


def value_of(name):
    if name not in VALUES:
        raise SgtmError("has no value")
    return VALUES[name]


def holds(method="hmac_sha256", *shown, secrets=("NEW",), text=TEXT, **more):
    return is_proven([Proof(secrets, method, shown, text, **more)], value_of)


@pytest.mark.parametrize("method", SHOWN)
def test_what_a_secret_makes_of_a_text_proves_that_the_sender_knows_it(method):
    right = bytes.fromhex(SHOWN[method])
    assert holds(method, right)
    assert holds(method, b"", b"x" * len(right), right)
    assert holds(method, right, secrets=("OLD", "NEW"))
    assert not holds(method, right, secrets=("OLD",))
    assert not holds(method, right, text=TEXT + b".")
    for wrong in (right[:-1], right + b"\0", b"", bytes(len(right)), right[::-1]):
        assert not holds(method, wrong)
    assert not holds(method)


def test_a_key_may_be_written_as_base64():
    right = bytes.fromhex(SHOWN["hmac_sha256"])
    assert holds("hmac_sha256", right, secrets=("B64",), is_base64=True)
    assert not holds("hmac_sha256", right, secrets=("B64",))


def test_the_secret_itself_is_compared_whole():
    assert holds("secret", b"key")
    assert holds("secret", b"old key", secrets=("NEW", "OLD"))
    for wrong in (b"", b"ke", b"keys", b"KEY"):
        assert not holds("secret", wrong)


def test_nobody_can_tell_where_no_secret_has_a_value():
    right = bytes.fromhex(SHOWN["hmac_sha256"])
    assert holds("hmac_sha256", right, secrets=("NONE",)) is None
    for name in ("DAMAGED", "EMPTY", "HALF"):
        assert holds("hmac_sha256", right, secrets=(name,), is_base64=True) is None
    assert holds("hmac_sha256", right, secrets=("NONE", "NEW")) is True


def test_all_proofs_must_hold():
    right, wrong = (Proof(("NEW",), "secret", (shown,)) for shown in (b"key", b"other"))
    unknown = Proof(("NONE",), "secret", (b"key",))
    assert is_proven([right, right], value_of) is True
    assert is_proven([right, wrong], value_of) is False
    assert is_proven([right, unknown], value_of) is None


def test_every_secret_is_compared_with_everything_shown_at_one_length(monkeypatch):
    """SPEC: reliability 5.5: no early exit, equal lengths, whatever is wrong with what is shown."""
    compared = []

    def noting(one, other):
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr("sgtm.authentication.hmac.compare_digest", noting)
    right = bytes.fromhex(SHOWN["hmac_sha256"])
    for shown in [(right, b"x", b""), (b"x", b"x" * 32, right), (b"", b"", b"y" * 900)]:
        holds("hmac_sha256", *shown, secrets=("NEW", "OLD"))
        assert compared == [(32, 32)] * 6
        compared.clear()
    holds("hmac_sha256", secrets=("NEW", "OLD"))
    assert compared == [(32, 32)] * 2


def test_a_kept_digest_knows_its_secret():
    digest = hashlib.sha256(b"s").hexdigest()
    assert is_known("s", ["0" * 64, digest.upper()])
    assert not is_known("t", [digest])
    assert not is_known("\ud800", [digest])
