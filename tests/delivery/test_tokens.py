"""Access tokens, from a real token endpoint to a real vendor: SPEC requirements R105, R147."""

import asyncio
import json
import logging
import ssl
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from delivery import deliveries
from delivery.deliveries import META, NOON_MICROS, FakeClock, bench, literal, to_loopback, until
from delivery.token_endpoint import EC_PEM, RSA_KEY, TokenEndpoint, assertion_of, pem

from sgtm.delivery.credentials import Credentials, CredentialSource
from sgtm.delivery.errors import CredentialMissing, CredentialRefused, TimedOut, TokenUnavailable
from sgtm.demo.vendor import Fault, Vendor
from sgtm.messages import (
    ClientCredentials,
    CredentialProof,
    CredentialUse,
    GoogleServiceAccount,
    OAuth2Refresh,
    OutgoingRequest,
)
from sgtm.observability.walk import WalkedDelivery

pytestmark = pytest.mark.usefixtures("each_sender")

TLS = Path(__file__).parent / "tls"
SECRETS = literal(CLIENT="client-secret", REFRESH="refresh-token")
GOOD_EVENTS = json.dumps(
    {"data": [{"event_name": "Lead", "event_time": NOON_MICROS // 1_000_000, "user_data": {"em": ["x"]}}]}
).encode()


def bearer(made_by):
    return CredentialUse(made_by.secrets[-1], "header", "Authorization", "Bearer ", made_by)


def refresh(endpoint, **said):
    return bearer(OAuth2Refresh(endpoint.url, "client-1", "CLIENT", "REFRESH", **said))


def client_credentials(endpoint, **said):
    return bearer(ClientCredentials(endpoint.url, "client-1", "CLIENT", **said))


class Stage:
    """A sender between a token endpoint and a vendor, on a clock that stands still."""

    def __init__(self, endpoint, vendor, sources):
        self.endpoint, self.vendor, self.clock = endpoint, vendor, FakeClock()
        self.sender = deliveries.new_sender(Credentials(sources), to_loopback(), clock=self.clock)

    async def send(self, use, timeout_s=5.0, path="/x", body=b""):
        request = OutgoingRequest("POST", self.vendor.url + path, body=body, credential=use)
        return (await self.sender.send(request, timeout_s)).status

    @property
    def shown(self):
        """Tokens that the vendor was shown."""
        return [one.header("authorization").removeprefix("Bearer ") for one in self.vendor.received]


@asynccontextmanager
async def stage(sources=SECRETS, **vendor):
    async with (
        TokenEndpoint() as endpoint,
        Vendor(now_s=lambda: NOON_MICROS / 1_000_000, **vendor) as running,
    ):
        it = Stage(endpoint, running, sources)
        async with it.sender:
            yield it


# -- getting and keeping -----------------------------------------------------------------------


async def test_a_hundred_requests_use_one_token():
    async with stage() as it:
        use = refresh(it.endpoint)
        assert {await it.send(use) for _ in range(100)} == {204}
        assert it.shown == ["access-1"] * 100
        assert it.endpoint.count == 1


async def test_fifty_requests_at_once_wait_for_one_exchange():
    async with stage() as it:
        it.endpoint.latency_s = 0.05
        assert await asyncio.gather(*(it.send(refresh(it.endpoint)) for _ in range(50))) == [204] * 50
        assert it.endpoint.count == 1


async def test_one_that_goes_away_takes_nothing_from_the_others_who_wait():
    async with stage() as it:
        it.endpoint.latency_s = 0.05
        first, *others = [asyncio.create_task(it.send(refresh(it.endpoint))) for _ in range(5)]
        await until(lambda: it.endpoint.under_way)
        first.cancel()
        assert await asyncio.gather(*others) == [204] * 4
        assert it.endpoint.count == 1


@pytest.mark.parametrize(
    ("make", "form"),
    [
        # RFC 6749, 6
        (refresh, {"grant_type": "refresh_token", "refresh_token": "refresh-token"}),
        # RFC 6749, 4.4.2
        (client_credentials, {"grant_type": "client_credentials"}),
    ],
    ids=["refresh", "client credentials"],
)
async def test_the_form_is_the_one_of_the_grant_and_the_client_is_in_it_or_in_the_header(make, form):
    async with stage() as it:
        assert await it.send(make(it.endpoint)) == 204
        assert await it.send(make(it.endpoint, scope="a b", client_auth="basic")) == 204
        (headers, in_body), (basic_headers, in_header) = it.endpoint.asked
    assert in_body == {**form, "client_id": "client-1", "client_secret": "client-secret"}
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in headers
    assert in_header == {**form, "scope": "a b"}
    # RFC 6749, 2.3.1: base64 of client-1:client-secret
    assert basic_headers["Authorization"] == "Basic Y2xpZW50LTE6Y2xpZW50LXNlY3JldA=="


@pytest.mark.parametrize(
    ("expires_in", "kept_s"),
    [(3_600, 3_540), ("1800", 1_740), (100, 90), (None, 270), ("soon", 270)],
)
async def test_a_token_is_renewed_a_minute_or_a_tenth_of_its_life_before_it_expires(expires_in, kept_s):
    async with stage() as it:
        it.endpoint.expires_in = expires_in
        use = refresh(it.endpoint)
        await it.send(use)
        it.clock.advance(kept_s - 1)
        await it.send(use)
        assert it.endpoint.count == 1
        it.clock.advance(1)
        await it.send(use)
        assert it.shown == ["access-1", "access-1", "access-2"]


async def test_a_jump_of_the_systems_clock_burns_no_token():
    async with stage() as it:
        await it.send(refresh(it.endpoint))
        it.clock.jumped_s = 86_400.0
        await it.send(refresh(it.endpoint))
        assert it.endpoint.count == 1


async def test_a_token_that_lives_for_no_time_serves_those_who_wait_for_it():
    async with stage() as it:
        it.endpoint.expires_in, it.endpoint.latency_s = 0, 0.05
        await asyncio.gather(*(it.send(refresh(it.endpoint)) for _ in range(5)))
        assert it.endpoint.count == 1
        await it.send(refresh(it.endpoint))
        assert it.endpoint.count == 2


async def test_each_credential_has_a_token_of_its_own():
    async with stage() as it:
        uses = [refresh(it.endpoint), refresh(it.endpoint, scope="a"), client_credentials(it.endpoint)]
        for use in uses * 2:
            await it.send(use)
        assert it.shown == ["access-1", "access-2", "access-3"] * 2


async def test_the_proof_is_that_of_the_token():
    # key `app`, message `access-1`: printf access-1 | openssl dgst -sha256 -hmac app
    proof = "c86775ff14991a808c2a1fcc4d7e76c76ab1fc0b6998a47dfd53fbb9a5ac2366"
    async with stage(SECRETS | literal(APP="app")) as it:
        use = refresh(it.endpoint)
        await it.send(msgspec.structs.replace(use, proof=CredentialProof("APP", "query", "proof")))
        assert it.vendor.received[0].query == f"proof={proof}"


# -- 401: a token that was revoked before its time ---------------------------------------------


def events(it, use):
    return it.send(use, path="/v25.0/1/events", body=GOOD_EVENTS)


async def test_a_401_brings_one_new_token_and_the_request_passes():
    async with stage(tokens=frozenset({"access-2"})) as it:
        assert await events(it, refresh(it.endpoint)) == 200
        assert it.shown == ["access-1", "access-2"]
        assert it.endpoint.count == 2


async def test_fifty_401s_at_once_bring_one_new_token():
    async with stage(tokens=frozenset({"access-2"})) as it:
        it.endpoint.latency_s = 0.02
        assert await asyncio.gather(*(events(it, refresh(it.endpoint)) for _ in range(50))) == [200] * 50
        assert it.endpoint.count == 2


async def test_a_401_that_stays_is_the_answer_and_does_not_ask_for_tokens_again_and_again():
    async with stage(tokens=frozenset()) as it:
        use = refresh(it.endpoint)
        assert await events(it, use) == 401
        assert it.shown == ["access-1", "access-2"]
        for _ in range(10):
            assert await events(it, use) == 401
        assert it.endpoint.count == 2
        it.clock.advance(30.0)
        assert await events(it, use) == 401
        assert it.endpoint.count == 3


async def test_other_refusals_of_the_vendor_are_not_the_tokens_fault():
    async with stage() as it:
        it.vendor.fail("/x", Fault(status=403))
        assert await it.send(refresh(it.endpoint)) == 403
        assert it.endpoint.count == len(it.vendor.received) == 1


# -- secrets that change -----------------------------------------------------------------------


async def test_a_changed_secret_gets_a_new_token_at_once(tmp_path):
    files = {name: tmp_path / name for name in ("CLIENT", "REFRESH")}
    files["CLIENT"].write_text("client-secret")
    files["REFRESH"].write_text("refresh-token")
    async with stage({name: CredentialSource(file=str(path)) for name, path in files.items()}) as it:
        use = refresh(it.endpoint)
        await it.send(use)
        it.endpoint.refresh_token = "refresh-token-of-today"
        files["REFRESH"].write_text("refresh-token-of-today")
        await it.send(use)
        it.endpoint.client = ("client-1", "client-secret-of-today")
        files["CLIENT"].write_text("client-secret-of-today")
        await it.send(use)
        assert it.shown == ["access-1", "access-2", "access-3"]
        files["CLIENT"].unlink()
        with pytest.raises(CredentialMissing, match="CLIENT"):
            await it.send(use)


async def test_a_refresh_token_that_changes_with_each_use_is_used_and_told_once(caplog):
    # RFC 6749, 6: the client must replace the old refresh token by a new one that it is given
    async with stage() as it:
        it.endpoint.changes_refresh_token = True
        use = refresh(it.endpoint)
        for _ in range(3):
            await it.send(use)
            it.clock.advance(3_600)
        forms = [form["refresh_token"] for _, form in it.endpoint.asked]
        assert forms == ["refresh-token", "refresh-1", "refresh-2"]
        (told,) = [one for one in caplog.records if "refresh token" in one.message]
        assert told.credential == "REFRESH"
        it.endpoint.refresh_token = "refresh-token"  # what it had given is void
        with pytest.raises(CredentialRefused, match="invalid_grant"):
            await it.send(use)
        it.clock.advance(1.0)
        assert await it.send(use) == 204, "the configured one is tried again"


async def test_a_changed_refresh_token_outlives_a_failure_and_another_secrets_change(tmp_path):
    client = tmp_path / "client"
    client.write_text("client-secret")
    sources = literal(REFRESH="refresh-token") | {"CLIENT": CredentialSource(file=str(client))}
    async with stage(sources) as it:
        it.endpoint.changes_refresh_token = True
        use = refresh(it.endpoint)
        await it.send(use)
        it.clock.advance(3_600)
        for says, error in [
            ((503, b""), TokenUnavailable),
            ((401, {"error": "invalid_client"}), CredentialRefused),
        ]:
            it.endpoint.says = says
            with pytest.raises(error):
                await it.send(use)
            it.clock.advance(1)
        it.endpoint.says = None
        it.endpoint.client = ("client-1", "client-secret-of-today")
        client.write_text("client-secret-of-today")
        assert await it.send(use) == 204
        assert it.endpoint.asked[-1][1]["refresh_token"] == "refresh-1"


async def test_a_refresh_token_in_the_answer_to_client_credentials_means_nothing():
    async with stage() as it:
        it.endpoint.changes_refresh_token = True
        for _ in range(2):
            assert await it.send(client_credentials(it.endpoint)) == 204
            it.clock.advance(3_600)
        assert it.endpoint.count == 2


# -- an endpoint that says no, or nothing --------------------------------------------------------


@pytest.mark.parametrize("code", ["invalid_grant", "invalid_client", "unauthorized_client", "invalid_scope"])
async def test_a_refusal_says_its_code_and_the_credential_and_nothing_else(code):
    async with stage() as it:
        it.endpoint.says = 400, {"error": code, "error_description": "canary", "error_uri": "canary"}
        with pytest.raises(CredentialRefused) as refused:
            await it.send(refresh(it.endpoint))
        text = str(refused.value)
        assert text.startswith(f"credential 'REFRESH': the token endpoint says {code}. ")
        assert "canary" not in text
        assert not refused.value.is_transient
        assert not refused.value.may_have_arrived
        assert not it.vendor.received


@pytest.mark.parametrize(
    ("says", "error", "text"),
    [
        ((400, {"error": "canary"}), CredentialRefused, "HTTP 400"),
        ((401, b"canary"), CredentialRefused, "HTTP 401"),
        ((302, b"", {"Location": "/elsewhere"}), CredentialRefused, "HTTP 302"),
        ((200, {"error": "invalid_grant"}), CredentialRefused, "invalid_grant"),
        ((500, {"error": "invalid_grant"}), TokenUnavailable, "HTTP 500"),
        ((429, b""), TokenUnavailable, "HTTP 429"),
        ((200, b"canary"), TokenUnavailable, "no usable token"),
        ((200, b"[" * 100_000), TokenUnavailable, "no usable token"),
        ((200, {"token_type": "Bearer"}), TokenUnavailable, "no usable token"),
        ((200, {"access_token": "canary\r\nX: y"}), TokenUnavailable, "no usable token"),
        ((200, {"access_token": 17}), TokenUnavailable, "no usable token"),
        ((200, {"access_token": "canary" * 5_000}), TokenUnavailable, "no usable token"),
        ((200, {"access_token": "canary", "token_type": "mac"}), TokenUnavailable, "another type"),
        ((200, {"access_token": "canary", "token_type": 1}), TokenUnavailable, "another type"),
    ],
    ids=range(14),
)
async def test_other_answers_without_a_token_are_refusals_or_pass(says, error, text):
    async with stage() as it:
        it.endpoint.says = says
        with pytest.raises(error, match=text) as failure:
            await it.send(refresh(it.endpoint))
        assert "canary" not in f"{failure.value!r}"
        assert failure.value.is_transient == (error is TokenUnavailable)
        assert it.endpoint.count == 1, "redirects are not followed"


async def test_an_endpoint_that_is_silent_costs_a_request_its_time_out_and_no_more():
    async with stage() as it:
        it.endpoint.is_silent = True
        with pytest.raises(TokenUnavailable, match="in time") as failure:
            await it.send(refresh(it.endpoint), timeout_s=0.1)
        assert failure.value.__context__ is None
        assert not failure.value.may_have_arrived
        with pytest.raises(TokenUnavailable, match="in time"):
            await it.send(refresh(it.endpoint), timeout_s=0.1)
        assert it.endpoint.count == 1, "the second waits for the same exchange"


async def test_what_an_exchange_has_cost_is_not_given_again_to_the_vendor():
    async with stage() as it:
        it.endpoint.latency_s = 0.2
        it.vendor.fail("/x", Fault(breaks="before answering"))
        began = asyncio.get_running_loop().time()
        with pytest.raises(TimedOut):
            await it.send(refresh(it.endpoint), timeout_s=0.4)
        assert asyncio.get_running_loop().time() - began < 0.58


async def test_nobody_listening_is_transient_and_said_without_the_address(unused_tcp_port):
    async with stage() as it:
        it.endpoint.url = f"http://127.0.0.1:{unused_tcp_port}/canary"
        with pytest.raises(TokenUnavailable, match="no connection to the host") as failure:
            await it.send(refresh(it.endpoint))
        assert "canary" not in str(failure.value)


@pytest.mark.parametrize(
    "url", ["http://login.example/token", "ftp://127.0.0.1/", "http://127.0.0.1.example/"]
)
async def test_secrets_are_posted_to_no_address_without_tls(url):
    async with stage() as it:
        it.endpoint.url = url
        with pytest.raises(CredentialRefused, match="not https"):
            await it.send(refresh(it.endpoint))


async def test_a_token_url_that_is_no_url_is_refused_and_not_the_end_of_the_event():
    async with stage() as it:
        it.endpoint.url = "https://user@login.example/token"
        with pytest.raises(CredentialRefused, match="not an absolute"):
            await it.send(refresh(it.endpoint))


async def test_a_certificate_that_is_not_accepted_gets_no_secret():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "good.pem")
    async with TokenEndpoint(tls=context) as secure, stage() as it:
        with pytest.raises(TokenUnavailable, match="certificate"):
            await it.send(refresh(secure))
        assert not secure.asked
        ca_file = str(TLS / "authority.pem")
        async with deliveries.new_sender(Credentials(SECRETS), to_loopback(), ca_file=ca_file) as knows_it:
            request = OutgoingRequest("POST", it.vendor.url, credential=refresh(secure))
            assert (await knows_it.send(request, 5)).status == 204


async def test_after_a_failure_the_endpoint_has_a_second_of_peace_unless_a_secret_changes(tmp_path):
    token = tmp_path / "token"
    token.write_text("void")
    async with stage(literal(CLIENT="client-secret") | {"REFRESH": CredentialSource(file=str(token))}) as it:
        for _ in range(10):
            with pytest.raises(CredentialRefused):
                await it.send(refresh(it.endpoint))
        assert it.endpoint.count == 1
        it.clock.advance(1.0)
        with pytest.raises(CredentialRefused):
            await it.send(refresh(it.endpoint))
        assert it.endpoint.count == 2
        token.write_text("refresh-token")
        assert await it.send(refresh(it.endpoint)) == 204


async def test_closing_does_not_wait_for_an_endpoint_and_leaves_no_task():
    before = asyncio.all_tasks()
    async with TokenEndpoint() as endpoint:
        endpoint.is_silent = True
        sender = deliveries.new_sender(Credentials(SECRETS), to_loopback())
        request = OutgoingRequest("POST", "http://127.0.0.1:9/", credential=refresh(endpoint))
        sending = asyncio.create_task(sender.send(request, 30))
        await until(lambda: endpoint.under_way)
        async with asyncio.timeout(2):
            await sender.close()
        assert not sender._tokens._flights
        with pytest.raises(TokenUnavailable):
            await sending
    await until(lambda: asyncio.all_tasks() <= before)


# -- Google service accounts -------------------------------------------------------------------

GOOGLE = bearer(GoogleServiceAccount("KEY", "https://www.googleapis.com/auth/datamanager"))


@asynccontextmanager
async def google(tmp_path, **changes):
    """A stage whose key file has these changes."""
    file = tmp_path / "key.json"
    async with stage({"KEY": CredentialSource(file=str(file))}) as it:
        file.write_text(it.endpoint.key_file(**changes))
        yield it


async def test_an_assertion_of_a_service_account_is_signed_and_says_who_for_whom_and_how_long(tmp_path):
    async with google(tmp_path) as it:
        assert [await it.send(GOOGLE) for _ in range(3)] == [204] * 3
        ((_, form),) = it.endpoint.asked  # the endpoint has verified the signature with the public key
        header, claims = assertion_of(form)
    # Google, "Using OAuth 2.0 for Server to Server Applications", "Preparing to make an authorized API call"
    assert header == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
    assert claims == {
        "iss": "tags@project.iam.example",
        "scope": "https://www.googleapis.com/auth/datamanager",
        "aud": it.endpoint.url,
        "iat": NOON_MICROS // 1_000_000,
        "exp": NOON_MICROS // 1_000_000 + 3_600,
    }
    assert form.keys() == {"grant_type", "assertion"}
    assert "=" not in form["assertion"]


async def test_a_signature_by_another_key_is_refused(tmp_path):
    async with google(tmp_path, private_key=pem(rsa.generate_private_key(65_537, 2_048))) as it:
        with pytest.raises(CredentialRefused, match="invalid_grant"):
            await it.send(GOOGLE)


@pytest.mark.parametrize(
    "private_key", ["canary", EC_PEM, pem(RSA_KEY)[:-200]], ids=["no PEM", "elliptic", "cut off"]
)
async def test_a_key_that_is_no_rsa_key_is_a_missing_credential(tmp_path, private_key):
    async with google(tmp_path, private_key=private_key) as it:
        with pytest.raises(CredentialMissing, match="holds no RSA key"):
            await it.send(GOOGLE)


async def test_a_rotated_key_file_gets_a_new_token(tmp_path):
    async with google(tmp_path) as it:
        await it.send(GOOGLE)
        (tmp_path / "key.json").write_text(it.endpoint.key_file(private_key_id="key-2"))
        await it.send(GOOGLE)
        assert it.shown == ["access-1", "access-2"]
        assert assertion_of(it.endpoint.asked[1][1])[0]["kid"] == "key-2"


@pytest.mark.parametrize(
    "text", ["canary", "{}", '{"client_email": "canary", "private_key": 17}', '["canary"]']
)
async def test_a_text_that_is_no_key_file_is_a_missing_credential(text):
    async with stage(literal(KEY=text)) as it:
        with pytest.raises(CredentialMissing, match="'KEY': is not the key file") as missing:
            await it.send(GOOGLE)
        assert "canary" not in str(missing.value)


async def test_a_key_file_may_not_send_the_assertion_anywhere_without_tls(tmp_path):
    async with google(tmp_path, token_uri="http://login.example/token") as it:
        with pytest.raises(CredentialRefused, match="not https"):
            await it.send(GOOGLE)


async def test_without_the_package_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "sgtm.delivery.rs256", raising=False)
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    async with google(tmp_path) as it:
        with pytest.raises(CredentialMissing, match=r"pip install 'sgtm\[google\]'"):
            await it.send(GOOGLE)


# -- in lanes ----------------------------------------------------------------------------------


async def test_a_refused_credential_shuts_the_lane_with_one_alert_and_a_mended_one_heals_it(tmp_path, caplog):
    token = tmp_path / "token"
    token.write_text("void")
    sources = literal(CLIENT="client-secret") | {"REFRESH": CredentialSource(file=str(token))}
    async with TokenEndpoint() as endpoint, bench(sources) as it:
        deliveries = [it.deliver(credential=refresh(endpoint)) for _ in range(20)]
        await it.until(lambda: it.lanes.destinations()[0].state == "shut")
        (lane,) = it.lanes.destinations()
        assert (lane.credential, "invalid_grant" in lane.reason) == ("REFRESH", True)
        token.write_text("refresh-token")
        for _ in range(20):
            it.clock.advance(60.0)
            await asyncio.sleep(0.02)
        assert [it.outcome_of(delivery).kind for delivery in deliveries] == ["done"] * 20
        assert endpoint.count == 2
    (alert,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert alert.credential == "REFRESH"


async def test_an_endpoint_that_is_down_is_tried_again_like_a_vendor_that_is_down():
    async with TokenEndpoint() as endpoint, bench(SECRETS) as it:
        endpoint.says = 503, b""
        delivery = it.deliver(credential=refresh(endpoint))
        await it.attempted(delivery, 1)
        assert delivery.walked.outcome.kind == "retry"
        assert delivery.walked.error == "TokenUnavailable"
        endpoint.says = None
        await asyncio.sleep(1.0)  # the sender's own clock runs: a second of peace
        it.clock.advance(5.0)
        await it.until(lambda: it.settled)
        assert it.outcome_of(delivery).kind == "done"


async def test_credentials_that_differ_in_anything_share_no_lane_no_token_and_no_batch():
    async with TokenEndpoint() as endpoint, bench(SECRETS | literal(META="t", OTHER="u", APP="a")) as it:
        it.vendor.fail("/", Fault(status=200, body=b'{"events_received": 1}'))
        meta = CredentialUse("META", "header", "Authorization", "Bearer ")
        uses = [
            meta,
            msgspec.structs.replace(meta, name="OTHER"),
            msgspec.structs.replace(meta, proof=CredentialProof("APP", "query", "appsecret_proof")),
            msgspec.structs.replace(meta, proof=CredentialProof("OTHER", "query", "appsecret_proof")),
            refresh(endpoint),
            refresh(endpoint, scope="b"),
            bearer(OAuth2Refresh(endpoint.url + "?tenant=2", "client-1", "CLIENT", "REFRESH")),
            client_credentials(endpoint),
        ]
        for use in uses * 3:
            it.deliver("/v25.0/1/events", component=META, credential=use, item=b"{}")
        assert len(it.lanes.destinations()) == len(uses)
        it.clock.advance(1.0)
        await it.until(lambda: len(it.settled) == 3 * len(uses))
        assert {outcome.kind for _, outcome in it.settled} == {"done"}
        sent = [(one.header("authorization"), one.query) for one in it.vendor.received]
        assert len(sent) == len(set(sent)) == len(uses)
        assert endpoint.count == 4


# -- nothing leaks -----------------------------------------------------------------------------


async def test_no_log_line_error_walk_or_repr_holds_a_secret_or_a_token(caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    seen = []
    sources = literal(CLIENT="client-secret", REFRESH="refresh-token", APP="app-canary")
    async with TokenEndpoint() as endpoint, bench(sources | literal(KEY="pending")) as it:
        endpoint.changes_refresh_token = True
        it.sender.credentials.sources["KEY"] = CredentialSource(literal=endpoint.key_file())
        proof = CredentialProof("APP", "query", "appsecret_proof")
        uses = [
            msgspec.structs.replace(use, proof=proof)
            for use in (refresh(endpoint), refresh(endpoint, client_auth="basic"), GOOGLE)
        ]
        for number, says in enumerate(
            [None, (400, {"error": "invalid_grant"}), (200, b"refresh-token"), None]
        ):
            endpoint.says = says
            for use in uses:
                it.vendor.fail("/", Fault(status=401) if number % 2 else None)
                delivery = it.deliver(credential=msgspec.structs.replace(use, prefix=f"Bearer{number} "))
                await it.attempted(delivery, 1)
                seen += [repr(delivery.walked), repr(delivery), msgspec.json.encode(delivery.walked).decode()]
        seen += [repr(it.sender._tokens._kept), repr(it.lanes.destinations())]
        assert {one.header("authorization") for one in it.vendor.received}, "some were sent"
    seen += [str(vars(record)) for record in caplog.records]
    text = "\n".join(seen)
    assert "REFRESH" in text
    proofs = {one.query.removeprefix("appsecret_proof=") for one in it.vendor.received}
    canaries = {"client-secret", "refresh-token", "access-", "refresh-1", "app-canary", "PRIVATE KEY", "eyJ"}
    assert [canary for canary in canaries | proofs if canary in text] == []
    assert proofs


def test_a_walk_shows_names_only():
    use = CredentialUse(
        "REFRESH",
        "header",
        "Authorization",
        "Bearer ",
        OAuth2Refresh("https://login.example/token", "client-1", "CLIENT", "REFRESH"),
        CredentialProof("APP", "query", "proof"),
    )
    walked = WalkedDelivery(OutgoingRequest("POST", "https://vendor.example/", credential=use))
    assert msgspec.to_builtins(walked)["request"]["credential"] == {
        "name": "REFRESH",
        "place": "header",
        "key": "Authorization",
        "prefix": "Bearer ",
        "made_by": {
            "type": "oauth2_refresh",
            "token_url": "https://login.example/token",
            "client_id": "client-1",
            "client_secret": "CLIENT",
            "refresh_token": "REFRESH",
        },
        "proof": {"name": "APP", "place": "query", "key": "proof"},
    }
