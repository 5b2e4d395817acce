"""What a view never shows (SPEC: requirements R225, R300; reliability 6: PII and secrets)."""

import base64

import pytest
from cases import make_parameters
from corridor import claim, make_client, make_container, make_tag
from msgspec.structs import replace
from walks import HITS, recorded_request, shop_container, shop_view

from sgtm.component import find
from sgtm.dry_run import PLAIN_REQUEST, dry_run
from sgtm.messages import OutgoingRequest
from sgtm.preview.encoding import Seen, summary_of, view_of
from sgtm.preview.masking import MASKED, SECRET, Masks, without_persons
from sgtm.preview.view import encode

PERSONAL = ("Jane", "Doe", "7911", "SW1A", "London", "1307714608", "81.2.69.142", "908083253440121752")


@pytest.fixture(scope="module")
def shop():
    return shop_container()


@pytest.mark.parametrize("hit", HITS)
def test_the_look_back_shows_nobody(shop, hit):
    text = encode(shop_view(shop, hit, "lookback")).decode()
    assert [word for word in PERSONAL if word.lower() in text.lower()] == []
    assert MASKED in text


def test_a_session_shows_testers_their_own_request_in_full(shop):
    text = encode(shop_view(shop, "3-purchase")).decode()
    assert all(word in text for word in PERSONAL)
    assert MASKED not in text


def walk_of(request, **claimed):
    """A tag that repeats everything that it can see of the request."""

    def tell(event):
        query, headers = event.request.query.decode(), event.request.headers
        told = "&".join(value.decode() for _, value in headers)
        return [
            OutgoingRequest("POST", f"https://vendor.example/?{query}", (("X-Told", told),), told.encode())
        ]

    container = make_container([make_client(lambda r: claim("e", **claimed))], [make_tag(tell)])
    return dry_run(container, request), container


@pytest.mark.parametrize("source", ["session", "lookback"])
@pytest.mark.parametrize(
    ("query", "header", "concealed"),
    [
        (b"api_secret=Hush%2Dhush1", (b"x", b"y"), ()),
        (b"a=1", (b"authorization", b"Bearer Hush-hush1"), ()),
        (b"again=Hush-hush1", (b"authorization", b"Bearer Hush-hush1"), ()),
        (b"a=1", (b"x-api-key", b"Hush-hush1"), ()),
        (b"a=1", (b"x-shop-signature", b"Hush-hush1"), ()),
        (b"a=1", (b"cookie", b"_ga=1; PHPSESSID=Hush-hush1"), ()),
        (b"a=1", (b"x-gtm-server-preview", b"Hush-hush1"), ()),
        (b"writeKey=Hush-hush1", (b"x", b"y"), ()),
        (b"door=Hush-hush1", (b"x", b"y"), ("door",)),
        (b"Door=Hush-hush1", (b"x", b"y"), ("Door",)),
        (b"a=1", (b"x-door", b"Hush-hush1"), ("x-door",)),
    ],
)
def test_a_credential_of_a_request_is_shown_nowhere(source, query, header, concealed):
    request = replace(PLAIN_REQUEST, path="/c", query=query, headers=(header,))
    walk, container = walk_of(request, conceal=concealed)
    shown = view_of(walk, request, Seen(id="1", source=source), container)
    text = encode(shown).decode()
    assert "hush" not in text.lower()
    assert SECRET in text
    assert shown.request.has_secrets


@pytest.mark.parametrize("path", ["/elsewhere", "/w"])
def test_a_credential_of_a_request_that_nobody_claims_is_shown_nowhere(path):
    """A webhook that was set up with the wrong path or method still brings its secret."""
    rules = {"other_events": "x", "shared_secret": {"secrets": ["S"], "header": "X-Door"}}
    component = find("client", "webhook")
    parameters = make_parameters(component, {"paths": ["/w"], **rules})
    client = replace(make_client(component.function), component=component, parameters=parameters)
    container = make_container([client])
    request = replace(PLAIN_REQUEST, method="GET", path=path, headers=((b"x-door", b"Hush-hush1"),))
    walk = dry_run(container, request)
    assert not walk.claimed_by
    shown = view_of(walk, request, Seen(id="1", source="session"), container)
    assert "hush" not in encode(shown).decode().lower()


def test_of_a_body_with_a_credential_only_what_its_record_keeps_is_shown():
    request = replace(PLAIN_REQUEST, path="/c", body=b'{"writeKey": "Hush-hush1", "event": "kept"}')
    walk, container = walk_of(request, recorded_body=b'{"event": "kept"}')
    shown = view_of(walk, request, Seen(id="1", source="session"), container)
    assert shown.request.body == '{"event": "kept"}'
    assert "hush" not in encode(shown).decode().lower()


def test_a_secret_of_the_process_is_shown_nowhere():
    request = replace(PLAIN_REQUEST, path="/c", query=b"echo=EAA%2Fown+token")
    walk, container = walk_of(request)
    text = encode(
        view_of(walk, request, Seen(id="1", source="session", secrets=("EAA/own token",)), container)
    )
    assert b"EAA" not in text


def test_what_measurement_calls_sid_is_no_secret(shop):
    assert "sid=1764340309" in shop_view(shop, "3-purchase").request.url
    assert (
        Masks(PLAIN_REQUEST, hides_persons=False).header("cookie", "sid=abc; _ga=1") == f"sid={SECRET}; _ga=1"
    )


def test_headers_that_talk_of_credentials_are_none():
    masks = Masks(PLAIN_REQUEST, hides_persons=False)
    assert masks.header("Access-Control-Allow-Credentials", "true") == "true"


def test_the_scheme_and_the_host_stay_legible_in_the_look_back(shop):
    shown = shop_view(shop, "1-page_view", "lookback")
    assert shown.request.url.startswith("https://sst.shop.example/g/collect?")
    assert ("x-forwarded-proto", "https") in shown.request.headers


def test_what_a_cookie_holds_is_masked_in_the_look_back_wherever_it_stands():
    request = replace(
        PLAIN_REQUEST, path="/c", query=b"again=unlikely-1", headers=((b"cookie", b"_abc=unlikely-1"),)
    )
    walk, container = walk_of(request)
    assert b"unlikely" not in encode(view_of(walk, request, Seen(id="1", source="lookback"), container))
    assert b"unlikely" in encode(view_of(walk, request, Seen(id="1", source="session"), container))


def test_an_address_of_a_mailbox_is_masked_wherever_it_stands():
    masks = Masks(recorded_request("1-page_view"), hides_persons=True)
    assert masks.text("to=a.b%40c.example and d@e.example") == f"to={MASKED} and {MASKED}"
    assert masks.text("0" * 64) == MASKED


MAIL = "ann@shop.example"
ENCODED = {
    "as it is": MAIL,
    "in capitals": MAIL.upper(),
    "as a URL has it": "ann%40shop.example",
    "the same twice": "ann%2540shop.example",
    "every letter so": "".join(f"%{ord(letter):02x}" for letter in MAIL),
    "as JSON may have it": "ann\\u0040shop.example",
    "as HTML has it": "ann&#64;shop.example",
    "with other letters": "jérôme@shop.example",
    "base64": base64.b64encode(MAIL.encode()).decode(),
    "base64 in a URL": base64.b64encode(MAIL.encode()).decode().replace("=", "%3D"),
    "base64 without padding": base64.urlsafe_b64encode(b"??" + MAIL.encode()).decode().rstrip("="),
    "base64 of JSON": base64.b64encode(b'{"to": "%b"}' % MAIL.encode()).decode(),
    "hexadecimal": MAIL.encode().hex(),
}


@pytest.mark.parametrize("written", ENCODED.values(), ids=list(ENCODED))
@pytest.mark.parametrize(
    "part",
    [
        {"query": "zz=%s"},
        {"headers": ((b"x-foo", "%s"),)},
        {"headers": ((b"referer", "https://shop.example/?a=%s"),)},
        {"body": "said %s"},
        {"body": '{"a": {"b": "%s"}}'},
        {"body": ' {"%s": 1}'},
        {"path": "/users/%s"},
    ],
    ids=str,
)
def test_a_mailbox_is_masked_in_the_look_back_however_it_is_written(part, written):
    # SPEC: requirements R225
    def with_it(value):
        if isinstance(value, str) and value.startswith("/"):
            return value.replace("%s", written)
        if isinstance(value, str):
            return value.replace("%s", written).encode()
        return tuple((name, text.replace("%s", written).encode("utf-8")) for name, text in value)

    request = replace(PLAIN_REQUEST, path="/c")
    walk, container = walk_of(replace(request, **{k: with_it(v) for k, v in part.items() if k != "path"}))
    walk.path = with_it(part.get("path", "/c"))
    request = replace(request, **{key: with_it(value) for key, value in part.items()})
    seen = Seen(id="1", source="lookback")
    told = encode(view_of(walk, request, seen, container)) + encode(summary_of(walk, request, seen))
    shown = told.decode().replace("\\\\", "\\").lower()
    assert written.lower() not in shown
    assert "shop.example" not in shown.replace("https://shop.example", "")


def test_what_is_no_person_s_stays_legible_in_the_look_back():
    for text in (
        "/g/collect",
        "add_to_cart_and_some_more_words",
        "GTM-ABCDEFG1234567890",
        "https%3A%2F%2Fshop.example%2Fcart%3Fa%3D1",
        "gcd=13t3t3t3t5l1&npa=0&dma_cps=syphamo",
        "0123456789abcdef0123456789abcdef",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
    ):
        assert without_persons(text) == text


@pytest.mark.parametrize("source", ["session", "lookback"])
@pytest.mark.parametrize(
    "body",
    [
        b'{"event_name": "e", "auth": {"access_token" : "Hush-\\"hush1"}}',
        b' [{"password": "Hush-hush1"}]',
        b"event_name=e&api_secret=Hush%2Dhush1",
    ],
)
def test_a_credential_in_a_body_is_shown_nowhere(source, body):
    request = replace(PLAIN_REQUEST, path="/c", body=body, query=b"echo=Hush-hush1")
    walk, container = walk_of(request)
    shown = view_of(walk, request, Seen(id="1", source=source), container)
    assert "hush1" not in shown.request.body.lower()
    assert shown.request.has_secrets
    assert b'"' in body[:30] or "hush" not in encode(shown).decode().lower()
