import pytest

from sgtm.cookies import set_cookie_header
from sgtm.preview.login import FAILURES_S, LIFE_S, MAX_FAILURES, Login, token_in

TOKEN = "a token of the admin listener"


def test_a_cookie_lets_its_browser_in_until_its_time_is_over():
    login = Login(TOKEN)
    cookie = login.cookie(1_000.0, is_secure=False)
    assert login.lets_in(cookie.value, 1_000.0 + LIFE_S - 1)
    assert not login.lets_in(cookie.value, 1_000.0 + LIFE_S)
    assert Login(TOKEN).lets_in(cookie.value, 1_000.0)  # a restart ends no session
    assert not Login("another token, just as long").lets_in(cookie.value, 1_000.0)


@pytest.mark.parametrize("value", ["", ".", "..", "9999999999.x", "9999999999.x.0", "é.é.é", "x" * 5_000])
def test_what_was_not_signed_here_lets_nobody_in(value):
    assert not Login(TOKEN).lets_in(value, 0.0)


def test_a_cookie_whose_time_was_changed_is_none():
    login = Login(TOKEN)
    until, nonce, signature = login.cookie(0.0, is_secure=False).value.split(".")
    assert not login.lets_in(f"{int(until) + 1}.{nonce}.{signature}", 0.0)


def test_no_script_reads_the_cookie_no_other_site_sends_it_and_the_token_is_not_in_it():
    # SPEC: reliability 2.4; the page's contract: HttpOnly, SameSite=Strict
    for is_secure in (False, True):
        written = set_cookie_header(Login(TOKEN).cookie(0.0, is_secure=is_secure), "127.0.0.1")
        assert "; Path=/preview" in written
        assert "HttpOnly" in written
        assert "SameSite=Strict" in written
        assert "Domain" not in written
        assert ("Secure" in written) is is_secure
        assert TOKEN not in written


def test_the_page_s_second_value_is_of_its_cookie_alone():
    login = Login(TOKEN)
    first, second = (login.cookie(0.0, is_secure=False).value for _ in range(2))
    assert login.is_csrf(login.csrf(first), first)
    assert not login.is_csrf(login.csrf(first), second)
    assert not login.is_csrf("", first)
    assert not login.lets_in(f"{first.rpartition('.')[0]}.{login.csrf(first)}", 0.0)  # no signature by itself


def test_after_some_wrong_tokens_nobody_may_try_for_a_while():
    login = Login(TOKEN)
    for number in range(MAX_FAILURES):
        assert login.wait_s(number) == 0
        login.failed(number)
    assert login.wait_s(MAX_FAILURES) == FAILURES_S - MAX_FAILURES
    assert login.wait_s(FAILURES_S) == 0


def test_the_token_is_a_field_of_a_form_and_no_form_is_too_odd():
    assert token_in(b"token=a+b%20c&x=1") == "a b c"
    assert token_in(b"") == token_in(b"&".join([b"a=1"] * 50)) == token_in(b"\xff\xfe=%zz") == ""
    assert Login(TOKEN).is_token(TOKEN)
    assert not Login(TOKEN).is_token("")
