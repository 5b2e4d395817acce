"""Distinctive secrets and personal data walk every path of failure; none is in a log line, in an answer to
a stranger or in the output of a command (SPEC: reliability 3 rule 9, the canary test; R268)."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from raw_http import exchange, request

from sgtm.demo.vendor import Fault, Vendor

ROOT = Path(__file__).parents[2]
CANARY = re.compile(r"canary\w*", re.IGNORECASE)
SECRETS = [f"CanarySecret{number:02d}" for number in range(30)]
PERSONAL = [f"CanaryPerson{number:02d}" for number in range(30)]
NEWLINE = "SECRET_27"
"""This one cannot stand in a header, which is an error of its own."""

ECHO = " ".join(SECRETS + PERSONAL).encode()
META_ERROR = {"message": ECHO.decode(), "error_user_msg": ECHO.decode(), "fbtrace_id": ECHO.decode()}
FAULTS = {
    "slow": Fault(latency_ms=5_000),
    "silent": Fault(breaks="before answering"),
    "headers": Fault(breaks="after headers"),
    "half": Fault(breaks="half body"),
    "reset": Fault(breaks="reset"),
    "moved": Fault(status=302, body=ECHO, headers=(("Location", "http://127.0.0.1:1/canary"),)),
    "bad": Fault(status=400, body=ECHO),
    "token": Fault(
        status=401,
        body=json.dumps({"error": {**META_ERROR, "code": 190, "error_data": ECHO.decode()}}).encode(),
    ),
    "event": Fault(
        status=400, body=json.dumps({"error": {**META_ERROR, "code": 100, "error_subcode": 2804003}}).encode()
    ),
    "later": Fault(status=429, body=ECHO, headers=(("Retry-After", "CanaryLater"),)),
    "down": Fault(status=503, body=ECHO),
    "fine": Fault(status=200, body=ECHO),
}


def container(vendor_url: str) -> str:
    """Three tags at each way to fail, each with a secret of its own as long as there are any."""
    names = iter(f"${{SECRET_{number % 30}}}" for number in range(100))
    addresses = {name: f"{vendor_url}/{name}" for name in FAULTS}
    addresses |= {
        "name": "http://canary-host.invalid",
        "refused": "http://127.0.0.1:1",
        "private": "http://10.0.0.1",
        "metadata": "http://metadata.google.internal",
        "tls": vendor_url.replace("http://", "https://"),
    }
    rules = "firing_triggers: [All Events], delivery: {timeout_s: 0.5, linger_ms: 0}"
    tags = []
    for name, at in addresses.items():
        tags += [
            f"- {{name: Meta {name}, type: meta_conversions, {rules}, parameters: {{"
            f"pixel_id: 1, access_token: '{next(names)}', endpoint: '{at}', extend_cookies: true}}}}",
            f"- {{name: Query {name}, type: http_request, {rules}, parameters: {{auth: query, auth_key: k, "
            f"url: '{at}/{{{{Page URL}}}}', secret: '{next(names)}', success_path: '{{{{Page URL}}}}'}}}}",
            f"- {{name: Payload {name}, type: ga4, {rules}, parameters: {{protocol: measurement_protocol, "
            f"measurement_id: G-ABC123, endpoint: '{at}/mp', api_secret: '{next(names)}'}}}}",
        ]
    tags.append(
        f"- {{name: Misfit, type: meta_conversions, {rules}, "
        f"parameters: {{pixel_id: '{{{{Page URL}}}}', access_token: '{next(names)}'}}}}"
    )
    return "\n".join(
        [
            "sgtm: 1",
            "consent: {unset: granted, gate: declared}",
            "clients:",
            "- {name: GA4, type: ga4, priority: 3}",
            "- {name: Protocol, type: measurement_protocol, priority: 2}",
            "- {name: Data, type: json, priority: 1, parameters: {paths: [/data]}}",
            "tags:",
            *tags,
        ]
    )


def hits() -> list[bytes]:
    """What strangers send: personal data in every place of a request, well-formed or not."""
    who = iter(PERSONAL * 3)
    headers = {
        "User-Agent": next(who),
        "Cookie": f"_ga=GA1.1.{next(who)}; _gtmeec={next(who)}; {next(who)}={next(who)}",
        "Referer": f"https://{next(who)}.example/",
        f"X-{next(who)}": next(who),
        "Origin": f"https://{next(who)}.example",
    }
    page = quote(f"https://shop.example/{next(who)}?email={next(who)}", safe="")
    event = {
        "name": "purchase",
        "params": {"page_location": next(who), "value": next(who), next(who): next(who)},
    }
    body = {
        "client_id": next(who),
        "user_id": next(who),
        "user_data": {"email_address": f"{next(who)}@shop.example"},
    }
    data = {
        "event_name": "purchase",
        "value": next(who),
        "page_location": {"a": next(who)},
        "event_time": next(who),
        "user_data": {"email": f"{next(who)}@shop.example", "phone": next(who)},
        "custom_properties": "{" + next(who),
    }
    return [
        request(
            f"/g/collect?v=2&tid=G-{next(who)}&cid={next(who)}.1&en=purchase&dl={page}&uid={next(who)}"
            f"&ep.{next(who)}={next(who)}&epn.value=5&cu=EUR",
            headers=headers,
        ),
        request(
            f"/mp/collect?measurement_id=G-ABC123&api_secret={next(who)}",
            headers=headers,
            method="POST",
            body=json.dumps(body | {"events": [event]}).encode(),
        ),
        request(
            f"/data?{next(who)}={next(who)}", headers=headers, method="POST", body=json.dumps(data).encode()
        ),
        request("/data", headers=headers, method="POST", body=b'{"' + next(who).encode()),
        request(f"/{next(who)}?{next(who)}", headers=headers),
        request("/g/collect?v=2", headers=headers | {"bad header": next(who)}),
        next(who).encode() + b" / HTTP/1.1\r\n\r\n",
    ]


@pytest.fixture
def environment():
    secrets = {f"SECRET_{number}": secret for number, secret in enumerate(SECRETS)}
    secrets[NEWLINE] = f"{SECRETS[27]}\nX-Canary: {SECRETS[28]}"
    return {**os.environ, **secrets, "PYTHONPATH": str(ROOT)}


async def test_no_secret_and_nobody_is_in_any_log_line_or_answer(tmp_path, environment, vendor: Vendor):
    for name, fault in FAULTS.items():
        vendor.fail(f"/{name}", fault)
    path = tmp_path / "container.yaml"
    path.write_text(container(vendor.url))
    command = [
        sys.executable,
        "-m",
        "sgtm",
        "serve",
        str(path),
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-admin",
    ]
    command += [
        "--log-level",
        "debug",
        "--log-format",
        "json",
        "--drain-delay-s",
        "0",
        "--drain-timeout-s",
        "1",
        "--egress-allow",
        "127.0.0.0/8",
    ]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    banner = json.loads(await process.stderr.readline())
    port = int(banner["url"].rpartition(":")[2])
    answers = [await exchange(port, hit) for hit in hits() * 2]
    await vendor.wait_for(len(FAULTS), timeout_s=10.0)
    await asyncio.sleep(2.0)  # time-outs and first retries
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        log = (await process.stderr.read()).decode()
        await process.wait()
    assert set(CANARY.findall(log.replace("canary-host.invalid", ""))) == set()
    assert {answer.status for answer in answers} >= {204, 400}
    for answer in answers:
        assert CANARY.search(answer.body.decode()) is None
    for words in (
        "tag failed",
        "request refused",
        "delivery given up",
        "destination refuses us",
        "a destination was refused",
        NEWLINE,
    ):
        assert words in log, f"this test does not reach {words!r}"


@pytest.mark.parametrize("words", [["check"], ["check", "--format", "json"], ["info"]])
def test_no_command_shows_a_secret(words, tmp_path, environment):
    path = tmp_path / "container.yaml"
    path.write_text(container("http://127.0.0.1:1").replace("${SECRET_3}", "CanaryLiteral"))
    command = [sys.executable, "-m", "sgtm", *words, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert "Meta" in done.stdout or "warning" in done.stdout or "good" in done.stdout
    assert CANARY.search((done.stdout + done.stderr).replace("canary-host.invalid", "")) is None
