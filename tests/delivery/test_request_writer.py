import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgtm.delivery.credentials import Credentials, CredentialSource
from sgtm.delivery.errors import CredentialMissing, Refused
from sgtm.delivery.request_writer import origin_of, request_bytes, write_parts, write_request
from sgtm.messages import CredentialProof, CredentialUse, OutgoingRequest

# SPEC: reliability 3, rules 7 and 9.
URL = "https://vendor.example/collect"


def write(credentials=None, **said):
    request = OutgoingRequest(**{"method": "POST", "url": URL, **said})
    sources = {name: CredentialSource(literal=value) for name, value in (credentials or {}).items()}
    return write_request(request, Credentials(sources))


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://vendor.example/x", ("https", "vendor.example", 443)),
        ("HTTP://Vendor.Example?x=1", ("http", "vendor.example", 80)),
        ("http://127.0.0.1:8080", ("http", "127.0.0.1", 8080)),
        ("https://[2001:DB8::1]:444/x", ("https", "[2001:db8::1]", 444)),
        ("https://vendor.example:443/", ("https", "vendor.example", 443)),
    ],
)
def test_an_origin_is_scheme_host_and_port(url, origin):
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "vendor.example/x",
        "ftp://vendor.example/",
        "https:///x",
        "https://user:pass@vendor.example/",
        "https://vendor.example/x#fragment",
        "https://vendor.example:0/",
        "https://vendor.example:65536/",
        "https://vendor.example:80x/",
        "https://ven dor.example/",
        "https://vendor.example\\@other.example/",
        "https://vendor.example\r\nHost: x/",
        "https://bücher.example/",
        " https://vendor.example/",
        "https://a..example/",
        "https://.example/",
        "https://-a.example/",
        f"https://{'a' * 64}.example/",
    ],
)
def test_other_urls_are_refused_without_being_quoted(url):
    with pytest.raises(Refused) as refused:
        write(url=url)
    assert not url or url not in str(refused.value)


def test_the_target_keeps_its_bytes_and_what_cannot_stand_there_is_encoded():
    _, url, _ = write(url=URL + "?a=%20+%zz~{}|&b=caf\u00e9 \r\n")
    assert url == URL + "?a=%20+%zz~{}|&b=caf%C3%A9%20%0D%0A"


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "content-length",
        "Connection",
        "TE",
        "Transfer-Encoding",
        "Upgrade",
        "Expect",
        "Proxy-Authorization",
    ]
    + ["Forwarded", "", "a b", "a:b", "a\r\nb", "caf\u00e9"],
)
def test_framing_headers_and_names_that_are_no_tokens_are_refused(name):
    with pytest.raises(Refused):
        write(headers=((name, "x"),))


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\0b", "\x7f"])
def test_header_values_with_control_characters_are_refused(value):
    with pytest.raises(Refused) as refused:
        write(headers=(("X-Test", value),))
    assert value not in str(refused.value)


def test_a_tab_in_a_header_value_is_fine():
    assert write(headers=(("X-Test", "a\tb"),))[2] == [("X-Test", "a\tb")]


@pytest.mark.parametrize("method", ["", "PO ST", "POST\r\n", "GET /"])
def test_methods_that_are_no_tokens_are_refused(method):
    with pytest.raises(Refused):
        write(method=method)


def test_a_secret_stands_in_its_header_behind_its_prefix():
    use = CredentialUse("TOKEN", "header", "Authorization", "Bearer ")
    assert write({"TOKEN": "s3cret"}, credential=use)[2] == [("Authorization", "Bearer s3cret")]


def test_a_secret_in_the_query_is_encoded_once():
    use = CredentialUse("TOKEN", "query", "api_secret")
    assert write({"TOKEN": "a b&c=%"}, credential=use)[1] == URL + "?api_secret=a%20b%26c%3D%25"
    assert write({"TOKEN": "x"}, url=URL + "?m=1", credential=use)[1] == URL + "?m=1&api_secret=x"


def test_a_secret_that_cannot_stand_in_a_header_is_never_shown():
    use = CredentialUse("TOKEN", "header", "Authorization")
    with pytest.raises(CredentialMissing) as missing:
        write({"TOKEN": "canary\r\nX: 1"}, credential=use)
    assert "canary" not in str(missing.value)
    assert "TOKEN" in str(missing.value)


# RFC 4231, 4.3: HMAC-SHA-256 with the key "Jefe"
PROOF = CredentialUse(
    "TOKEN", "header", "Authorization", "Bearer ", proof=CredentialProof("APP", "query", "appsecret_proof")
)
MESSAGE = "what do ya want for nothing?"
DIGEST = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def test_a_proof_is_the_hex_hmac_of_the_credential_under_the_second_secret():
    # SPEC: meta-capi 1, app secret proof
    written = write({"TOKEN": MESSAGE, "APP": "Jefe"}, credential=PROOF)
    assert written == ("POST", f"{URL}?appsecret_proof={DIGEST}", [("Authorization", f"Bearer {MESSAGE}")])


def test_a_proof_in_a_header_and_a_credential_in_the_query_are_as_good():
    use = CredentialUse("TOKEN", "query", "t", proof=CredentialProof("APP", "header", "X-Proof"))
    _, url, headers = write({"TOKEN": MESSAGE, "APP": "Jefe"}, credential=use, url=URL + "?a=1")
    assert url == URL + "?a=1&t=what%20do%20ya%20want%20for%20nothing%3F"
    assert headers == [("X-Proof", DIGEST)]


def test_a_proof_without_its_secret_is_a_missing_credential():
    with pytest.raises(CredentialMissing, match="'APP'"):
        write({"TOKEN": "t"}, credential=PROOF)


@given(st.text(), st.text(), st.text(), st.text())
def test_nothing_but_its_own_errors_comes_out_of_any_text(method, path, name, value):
    try:
        written = write(method=method, url=URL + path, headers=((name, value),))
    except Refused:
        return
    method, url, _ = written
    assert (method + url).isascii()
    assert not any(character in method + url + name + value for character in "\r\n\0")


@pytest.mark.parametrize(
    ("url", "line", "host"),
    [
        ("https://vendor.example/a/b?c=d/e", "/a/b?c=d/e", "vendor.example"),
        ("https://vendor.example", "/", "vendor.example"),
        ("https://vendor.example?c=/d", "/?c=/d", "vendor.example"),
        ("https://VENDOR.example.:443/", "/", "vendor.example"),
        ("https://vendor.example:80/", "/", "vendor.example:80"),
        ("http://[2001:DB8::1]:81/", "/", "[2001:db8::1]:81"),
        ("https://vendor.example//x/../y%2f", "//x/../y%2f", "vendor.example"),
        ("https://vendor.example/ä b", "/%C3%A4%20b", "vendor.example"),
    ],
)
def test_target_and_host_as_they_go_to_the_socket(url, line, host):
    # RFC 9112, 3.2: origin form, or the whole address where a proxy is asked
    origin = origin_of(url)
    written = write_parts("POST", url, ())
    rest = f"Host: {host}\r\nAccept: */*\r\nContent-Length: 1\r\n\r\nx".encode()
    assert request_bytes(written, origin, b"x", to_proxy=False) == f"POST {line} HTTP/1.1\r\n".encode() + rest
    asked = f"POST {origin[0]}://{host}{line} HTTP/1.1\r\n".encode()
    assert request_bytes(written, origin, b"x", to_proxy=True) == asked + rest


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [("GET", b"", b""), ("HEAD", b"", b""), ("GET", b"xy", b"2"), ("POST", b"", b"0"), ("PATCH", b"", b"0")],
)
def test_the_length_is_ours_and_left_out_where_nothing_is_said(method, body, length):
    # RFC 9110, 8.6
    sent = request_bytes(write_parts(method, URL, ()), origin_of(URL), body, to_proxy=False)
    head, _, rest = sent.partition(b"\r\n\r\n")
    assert rest == body
    assert head.partition(b"Content-Length: ")[2] == length


def test_accept_is_the_tags_if_it_has_one():
    headers = (("accept", "application/json"), ("X-A", "ä"))
    sent = request_bytes(write_parts("GET", URL, headers), origin_of(URL), b"", to_proxy=False)
    assert sent.lower().count(b"accept:") == 1
    assert "X-A: ä\r\n".encode() in sent
