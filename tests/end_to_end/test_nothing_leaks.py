"""Distinctive secrets and personal data walk every path of failure; none is in a log line, in an answer to
a stranger or in the output of a command (SPEC: reliability 3 rule 9, the canary test; R268)."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from doubles import eventually
from raw_http import RawAnswer, exchange, request

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


TOKEN_FAULTS = ("slow", "half", "reset", "moved", "bad", "token", "later", "down", "fine")
"""What the endpoint of access tokens does; `fine` is no JSON."""

PLUGIN = """
from msgspec import Struct
from sgtm.component import client, tag, variable
from sgtm.messages import OutgoingRequest
from sgtm.observability import logs

logs.LINES_PER_SECOND = 1_000_000  # every line is looked at


class Nothing(Struct, frozen=True):
    "No parameters."


class Where(Struct, frozen=True):
    "Where to send to."
    url: str


@client("throwing_client")
def claim(request, parameters: Nothing):
    raise ValueError(f"{request.query} {request.headers} {request.body}")


@variable("throwing_variable")
def resolve(event, parameters: Nothing):
    raise RuntimeError(str(event.data))


@tag("throwing_tag", vendor="v")
def build(event, parameters: Nothing):
    raise KeyError(str(event.data))


def read(answer, requests):
    raise ValueError(f"{answer.body} {requests}")


@tag("throwing_read", vendor="v", read=read)
def build_request(event, parameters: Where):
    return [OutgoingRequest("POST", parameters.url, body=str(event.data).encode())]
"""
"""Components that put all they know into the text of their exceptions."""


def container(vendor_url: str) -> str:
    """Three tags at each way to fail, each with a secret of its own as long as there are any."""
    other_url = vendor_url.replace("127.0.0.1", "localhost")  # a lane of its own
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
    for name in TOKEN_FAULTS:
        tags.append(
            f"- {{name: Token {name}, type: http_request, {rules}, parameters: {{auth: oauth2_refresh, "
            f"url: '{vendor_url}/fine', token_url: '{vendor_url}/{name}', client_id: c, "
            f"client_secret: '{next(names)}', refresh_token: '{next(names)}'}}}}"
        )
    tags += [
        f"- {{name: Key, type: http_request, {rules}, parameters: {{auth: google_service_account, "
        f"url: '{vendor_url}/fine', service_account: '{next(names)}', scope: s}}}}",
        f"- {{name: Throws, type: throwing_tag, {rules}}}",
        f"- {{name: Throws later, type: throwing_read, {rules}, parameters: {{url: '{other_url}/bad'}}}}",
        f"- {{name: Reads, type: http_request, {rules}, parameters: {{url: '{vendor_url}/{{{{Thrown}}}}'}}}}",
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
            "- {name: Throws, type: throwing_client, priority: 9}",
            "- {name: Web, type: web_container, priority: 4, parameters: "
            "{allowed_container_ids: [GTM-ABC123], dependency_hosts: [shop.example]}}",
            "- {name: GA4, type: ga4, priority: 3}",
            "- {name: Protocol, type: measurement_protocol, priority: 2}",
            "- {name: Data, type: json, priority: 1, parameters: {paths: [/data]}}",
            f"- {{name: Calls, type: segment, parameters: {{write_key_sha256: ['{'0' * 64}']}}}}",
            "- {name: Tag, type: data_tag, priority: -1, parameters: {paths: [/tag]}}",
            "- {name: Old, type: universal_analytics, priority: -2}",
            "- {name: Image, type: pixel, priority: -3, parameters: {paths: [/pixel.gif]}}",
            "- {name: Links, type: redirect, priority: -4, parameters: "
            "{paths: [/go], hosts: [shop.example]}}",
            f"- {{name: Hooks, type: webhook, priority: -5, parameters: {{paths: [/hook], event_type: type, "
            f"signature: {{secrets: ['{next(names)}'], header: X-Signature, prefix: v1=}}, "
            f"other_events: hook}}}}",
            f"- {{name: Shown, type: webhook, priority: -6, parameters: {{paths: [/shown], event_type: type, "
            f"shared_secret: {{secrets: ['{next(names)}'], query_parameter: token}}, other_events: hook}}}}",
            "- {name: Open, type: webhook, priority: -7, parameters: {paths: [/open], event_type: type, "
            "allow_unsigned: true, other_events: 'hook_{type}', fields: {user_id: id, value: {at: id, "
            "to: number}}}}",
            "variables:",
            "- {name: Thrown, type: throwing_variable}",
            "tags:",
            *tags,
        ]
    )


def hits() -> list[bytes]:
    """What strangers send: personal data in every place of a request, well-formed or not."""
    who = iter(PERSONAL * 4)
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
        request(f"/gtm.js?id={next(who)}&l={next(who)}", headers=headers),
        request(f"/gtm.js?id=GTM-ABC123&l={next(who)}", headers=headers),
        request(f"/gtag/js?id=G-CANARYPERSON&l={next(who)}", headers=headers),
        request(f"/_/service_worker/{next(who)}/sw.js?origin={next(who)}", headers=headers),
        request(f"/data?{next(who)}", headers=headers).replace(b"shop.example\r", f"{next(who)}\r".encode()),
        request(f"/data?{next(who) * 1_300}", headers=headers),
        request("/data", headers=headers | {f"X-{next(who)}": "x" * 9_000}),
        request("/data", method="POST", headers=headers, body=next(who).encode() * 90_000),
        request(f"/{next(who)}", method="POST", headers=headers | {"Expect": next(who)}, body=b"{}"),
        request("/data", headers=headers | {"Transfer-Encoding": next(who)}),
        next(who).encode() + b" / HTTP/1.1\r\n\r\n",
        request(
            f"/v1/batch?writeKey={next(who)}",
            headers=headers | {"Authorization": f"Basic {next(who)}"},
            method="POST",
            body=json.dumps(
                {"writeKey": next(who), "batch": [{"type": "track", "event": next(who), "userId": next(who)}]}
            ).encode(),
        ),
        request("/v1/track", headers=headers, method="POST", body=b'{"event": "' + next(who).encode()),
        request(
            f"/tag?v=2&{next(who)}={next(who)}",
            headers=headers,
            method="POST",
            body=json.dumps(data).encode(),
        ),
        request(f"/tag?dtdc={next(who)}", headers=headers),
        request(
            f"/collect?v=1&tid=UA-{next(who)}&cid={next(who)}&t=event&ea={next(who)}&dl={page}",
            headers=headers,
        ),
        request(
            "/batch", headers=headers, method="POST", body=f"v=1&tid={next(who)}&uip={next(who)}".encode()
        ),
        request(f"/pixel.gif?event_name={next(who)}&{next(who)}={next(who)}", headers=headers),
        request(f"/go?url=https%3A%2F%2F{next(who)}.example%2F{next(who)}", headers=headers),
        request(f"/go?url=https%3A%2F%2Fshop.example%2F{next(who)}", headers=headers),
        request(f"/hook?{next(who)}", headers=headers, method="POST", body=next(who).encode()),
        request(
            "/hook",
            headers=headers | {"X-Signature": f"v1={next(who)}"},
            method="POST",
            body=next(who).encode(),
        ),
        request(f"/shown?token={next(who)}", headers=headers, method="POST", body=b'{"type": 1}'),
        request("/open", headers=headers, method="POST", body=f"<a>{next(who)}".encode()),
        request(
            "/open",
            headers=headers,
            method="POST",
            body=json.dumps([{"type": next(who), "id": next(who), next(who): 1}, next(who)]).encode(),
        ),
    ]


PATHS_OF_FAILURE = {
    "a client throws": "client raised",
    "a variable throws": "raised RuntimeError",
    "a tag throws": "raised KeyError",
    "a tag has bad parameters": "Misfit",
    "a tag throws at the vendor's answer": "read raised ValueError",
    "the request is malformed": "request refused",
    "no client claims the request": "no client claimed a request",
    "the vendor refuses an event": "delivery given up",
    "the vendor fails": "destination shut",
    "the vendor refuses us, or a token cannot be had": "destination refuses us",
    "the egress door is shut": "a destination was refused",
    "a secret cannot stand in a header": NEWLINE,
    "the upstream of scripts is down": "the upstream of a script failed",
    "a reload is refused": "the new container was refused",
    "a worker dies": "a worker died",
    "the outbox loses what is left": "the memory outbox loses",
}
"""What goes wrong in the test, and words that the log or the metrics then have."""


@pytest.fixture
def environment(tmp_path):
    secrets = {f"SECRET_{number}": secret for number, secret in enumerate(SECRETS)}
    secrets[NEWLINE] = f"{SECRETS[27]}\nX-Canary: {SECRETS[28]}"
    plugin = tmp_path / "plugin"
    information = plugin / "canary_plugin-1.dist-info"
    information.mkdir(parents=True)
    (plugin / "canary_plugin.py").write_text(PLUGIN)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: canary-plugin\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[sgtm.tags]\ncanary = canary_plugin\n")
    more = {"PYTHONPATH": f"{ROOT}:{plugin}", "SGTM_ADMIN_TOKEN": ADMIN_TOKEN}
    return {**os.environ, **secrets, **more}


ADMIN_TOKEN = "CanarySecret29OfTheAdminListener"


class Server:
    """The real process; what it says goes into a file."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process, self._log = process, log

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    async def urls(self) -> tuple[int, int]:
        """Ports of the server and of its admin listener, as the banner says."""
        await eventually(lambda: len(re.findall(r"http://127\.0\.0\.1:(\d+)", self.log)) >= 2, 30)
        found = dict(re.findall(r"\W(url|admin)\W+http://127\.0\.0\.1:(\d+)", self.log))
        return int(found["url"]), int(found["admin"])


@contextlib.asynccontextmanager
async def serving(folder: Path, environment: dict[str, str], *flags: str) -> AsyncIterator[Server]:
    """`sgtm serve` with the container in `folder`."""
    settings = {
        "--host": "127.0.0.1",
        "--port": "0",
        "--admin-port": "0",
        "--data-folder": str(folder / "data"),
        "--script-folder": str(folder / "scripts"),
        "--script-upstream": "http://127.0.0.1:1",
        "--host-name": "shop.example",
        "--log-level": "debug",
        "--drain-delay-s": "0",
        "--drain-timeout-s": "1",
        "--egress-allow": "127.0.0.0/8 ::1",
    }
    command = [sys.executable, "-m", "sgtm", "serve", str(folder / "container.yaml")]
    command += [word for pair in settings.items() for word in pair]
    log = folder / "stderr.log"
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            *command, *flags, env=environment, stderr=stream, stdout=stream
        )
    try:
        yield Server(process, log)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 30)


def found(text: str) -> set[str]:
    """Canaries in a text; the host that stands in the container itself is none."""
    return set(CANARY.findall(text.replace("canary-host.invalid", "").replace("canary_plugin", "")))


def files_with_canaries(folder: Path, apart_from: set[Path]) -> list[Path]:
    files = [file for file in folder.rglob("*") if file.is_file() and not {file, *file.parents} & apart_from]
    assert files
    return [file for file in files if found(file.read_bytes().decode("latin-1"))]


@pytest.mark.parametrize("log_format", ["json", "text"])
async def test_no_secret_and_nobody_is_in_any_log_line_answer_page_or_file(
    log_format: str, tmp_path: Path, environment: dict[str, str], vendor: Vendor
) -> None:
    for name, fault in FAULTS.items():
        vendor.fail(f"/{name}", fault)
    path = tmp_path / "container.yaml"
    path.write_text(container(vendor.url))
    async with serving(tmp_path, environment, "--workers", "2", "--log-format", log_format) as server:
        port, admin_port = await server.urls()
        answers = [await exchange(port, hit) for hit in hits() * 3]
        await vendor.wait_for(len(FAULTS), timeout_s=20.0)
        pages = [await admin(admin_port, *page) for page in PAGES]
        pages += [await exchange(port, request(path)) for path in ("/healthy", "/ready", "/live", "/startup")]
        path.write_text(BROKEN)
        pages.append(await admin(admin_port, "POST", "/reload"))
        server.process.send_signal(signal.SIGHUP)
        health = await admin(admin_port, "GET", "/health")
        os.kill(health.json()["workers"][0]["pid"], signal.SIGKILL)
        await asyncio.sleep(3.0)  # time-outs and first retries; the supervisor sees it
        pages += [await admin(admin_port, "GET", page) for page in ("/destinations", "/metrics")]
    assert found(server.log) == set()
    assert {answer.status for answer in answers} >= {204, 400, 404, 413, 414, 417, 421, 431, 502}
    assert {page.status for page in pages} >= {200, 400, 401, 404, 422}
    for answer in answers + pages:
        assert found(answer.body.decode("latin-1")) == set()
        named = [pair for pair in answer.headers if pair[0] != "Access-Control-Allow-Origin"]
        assert answer.status < 400 or not found(str(named))
    assert files_with_canaries(tmp_path, apart_from={tmp_path / "plugin", path}) == []
    for what, words in PATHS_OF_FAILURE.items():
        assert words in server.log + pages[-1].body.decode(), f"this test does not reach: {what}"


BROKEN = (
    "sgtm: 1\ntags:\n- {name: A, type: meta_conversions, parameters: {access_token: 'CanarySecretLiteral}}\n"
)
"""The quote is not closed, so what the parser of YAML complains about is the secret."""
PAGES = [
    ("GET", "/metrics"),
    ("GET", "/health"),
    ("GET", "/destinations"),
    ("GET", "/CanaryPerson00?CanaryPerson01"),
    ("PUT", "/log-level", b'{"level": "CanaryPerson02"}'),
    ("PUT", "/log-level", b'{"CanaryPerson03'),
    ("GET", "/metrics", b"", "CanaryPersonWrongToken"),
]


async def admin(
    port: int, method: str, target: str, body: bytes = b"", token: str = ADMIN_TOKEN
) -> RawAnswer:
    return await exchange(
        port, request(target, method=method, body=body, headers={"Authorization": f"Bearer {token}"})
    )


COMMANDS = [["check"], ["check", "--format", "json"], ["info"]]
EXPLAIN = ["explain", "--hit", "/g/collect?v=2&tid=G-1&cid=1.2&en=purchase&dl=https%3A%2F%2Fshop.example%2F"]


@pytest.mark.parametrize("words", [*COMMANDS, EXPLAIN, [*EXPLAIN, "--format", "json"]])
def test_no_command_shows_a_secret(words, tmp_path, environment):
    path = tmp_path / "container.yaml"
    path.write_text(container("http://127.0.0.1:1").replace("${SECRET_3}", "CanaryLiteral"))
    done = run_command(*words, path, environment=environment)
    assert done.returncode == 0, done.stderr
    assert "Meta" in done.stdout or "warning" in done.stdout
    assert found(done.stdout + done.stderr) == set()


@pytest.mark.parametrize("words", [*COMMANDS, EXPLAIN, ["serve"]], ids=lambda words: " ".join(words)[:20])
@pytest.mark.parametrize(
    "text",
    [
        BROKEN,
        "sgtm: 1\ntags:\n- {name: A, type: meta_conversions, parameters: {access_token: [CanarySecret]}}",
        "sgtm: 1\ntags:\n- {name: A, type: http_request, parameters: {url: 1, auth: query, secret: CanaryA}}",
        "sgtm: 1\nclients:\n- {name: A, type: ga4, parameters: {linker_key: '${SECRET_5}', paths: 5}}",
        "sgtm: 1\nclients:\n- {name: A, type: ga4, parameters: {linker_key: [CanarySecretLiteral]}}",
    ],
    ids=["syntax", "type", "another field", "client", "client's type"],
)
def test_no_refusal_of_a_container_shows_a_secret(words, text, tmp_path, environment):
    path = tmp_path / "container.yaml"
    path.write_text(text)
    done = run_command(*words, path, environment=environment)
    assert done.returncode == 2, done.stdout
    assert found(done.stdout + done.stderr) == set()


def run_command(*words, environment):
    command = [sys.executable, "-m", "sgtm", *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
