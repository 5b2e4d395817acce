"""From a container.yaml to a vendor that is shown an access token: names inside, values at the end."""

import hashlib
import hmac

from delivery.token_endpoint import TokenEndpoint
from doubles import eventually
from raw_http import RawConnection

CONTAINER = """
sgtm: 1
consent: {{unset: granted, gate: declared}}
clients:
- {{name: Orders, type: json, parameters: {{paths: [/orders]}}}}
tags:
- name: Ads
  type: http_request
  firing_triggers: [All Events]
  parameters:
    url: {vendor}/ads
    auth: oauth2_refresh
    token_url: {token_url}
    client_id: client-1
    client_secret: ${{SGTM_TEST_CLIENT_SECRET}}
    refresh_token: {{file: {folder}/refresh_token}}
- name: Google
  type: http_request
  firing_triggers: [All Events]
  parameters:
    url: {vendor}/google
    auth: google_service_account
    service_account: {{file: {folder}/key.json}}
    scope: https://www.googleapis.com/auth/datamanager
- name: Meta
  type: meta_conversions
  firing_triggers: [All Events]
  parameters:
    endpoint: {vendor}
    pixel_id: "123"
    access_token: ${{SGTM_TEST_META_TOKEN}}
    app_secret: ${{SGTM_TEST_APP_SECRET}}
"""
ORDER = (
    b'{"event_name":"lead","event_id":"1","client_id":"1.1","user_data":{"email_address":"a@shop.example"}}'
)


async def test_tags_of_a_container_show_tokens_that_are_made_from_files_and_variables(
    serve, vendor, tmp_path, monkeypatch
):
    monkeypatch.setenv("SGTM_TEST_CLIENT_SECRET", "client-secret")
    monkeypatch.setenv("SGTM_TEST_META_TOKEN", "meta-token")
    monkeypatch.setenv("SGTM_TEST_APP_SECRET", "app-secret")
    async with TokenEndpoint() as endpoint:
        (tmp_path / "refresh_token").write_text("refresh-token\n")
        (tmp_path / "key.json").write_text(endpoint.key_file())
        served = await serve(CONTAINER.format(vendor=vendor.url, token_url=endpoint.url, folder=tmp_path))
        async with RawConnection(served.port) as connection:
            head = f"POST /orders HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {len(ORDER)}\r\n\r\n"
            for _ in range(3):
                connection.send(head.encode() + ORDER)
                assert (await connection.read_answer()).status < 300
        await eventually(lambda: len(vendor.requests("/ads")) == len(vendor.requests("/google")) == 3)
        await vendor.wait_for(1, "/v25.0/123/events")
        ads, google = (
            {one.header("authorization") for one in vendor.requests(path)} for path in ("/ads", "/google")
        )
        assert ads | google == {"Bearer access-1", "Bearer access-2"}
        assert len(ads) == len(google) == 1
        assert endpoint.count == 2
    # meta-capi 1: lowercase hex HMAC-SHA256, key = app secret, message = access token
    proof = hmac.new(b"app-secret", b"meta-token", hashlib.sha256).hexdigest()
    for one in vendor.requests("/v25.0/123/events"):
        assert (one.query, one.header("authorization")) == (f"appsecret_proof={proof}", "Bearer meta-token")
        assert one.status == 200
