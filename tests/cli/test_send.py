"""`sgtm send webhook` and what `sgtm explain` says of a refusal."""

import asyncio

import pytest
from doubles import eventually
from raw_http import ask

from sgtm.cli import main
from sgtm.container.compile import load_container

CONTAINER = """sgtm: 1
clients:
- name: Signed
  type: webhook
  parameters:
    paths: [/webhooks/signed]
    signature:
      secrets: ["${HOOK_SECRET}"]
      header: X-Signature
      encoding: base64
      key_encoding: base64
      signed_text: "{method}{url}{body}{timestamp}"
      timestamp_header: X-Time
      timestamp_unit: ms
    event_type: header:X-Topic
    events: [{name: purchase, types: [order], fields: {transaction_id: id}}]
- name: Shown
  type: webhook
  parameters:
    paths: [/webhooks/shown]
    shared_secret: {secrets: ["${HOOK_SECRET}"], query_parameter: token}
    other_events: lead
- {name: Orders, type: json, parameters: {paths: [/orders]}}
"""
SECRET = "c2VjcmV0LW9mLXRoZS10ZXN0cw=="


@pytest.fixture
def container(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    path = tmp_path / "container.yaml"
    path.write_text(CONTAINER)
    (tmp_path / "order.json").write_text('{"id": "T-1"}')
    return path


async def send(*words):
    return await asyncio.to_thread(main, ["send", "webhook", *words])


async def test_a_body_is_signed_for_the_address_that_is_called(container, serve, capsys):
    served = await serve(load_container(container))
    words = ("Signed", "order.json", "--url", served.url, "--header", "X-Topic: order")
    assert await send(*words) == 0
    said = capsys.readouterr().out
    assert "POST /webhooks/signed with 13 bytes, signed" in said
    assert "200 taken" in said
    assert SECRET not in said
    await eventually(lambda: served.worker.counters.value("sgtm_events_total", "Signed") == 1)


async def test_a_secret_that_is_shown_goes_where_the_client_looks_for_it(container, serve, capsys):
    served = await serve(load_container(container))
    assert await send("Shown", "order.json", "--url", f"{served.url}/webhooks/shown") == 0
    assert SECRET not in capsys.readouterr().out


async def test_a_refusal_is_exit_status_one_and_says_what_to_look_at(container, serve, monkeypatch, capsys):
    served = await serve(load_container(container))
    monkeypatch.setenv("OTHER_SECRET", "b3RoZXI=")
    container.write_text(CONTAINER.replace("HOOK_SECRET", "OTHER_SECRET"))
    assert await send("Signed", "order.json", "--url", served.url) == 1
    said = capsys.readouterr().out
    assert "401 refused: the server has another secret, or another clock" in said
    assert '{"error":"the signature is missing, wrong or too old"}' in said
    assert served.worker.counters.value("sgtm_requests_refused_total", "webhook 401") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("Orders", "order.json"), "'Orders' is no webhook client. there are: Signed, Shown"),
        (("Signed", "missing.json"), "missing.json: No such file or directory"),
        (("Signed", "missing.http"), "missing.http: No such file or directory"),
        (("Signed", "order.json", "--url", "ftp://x"), "--url: 'ftp://x' is no address"),
        (("Signed", "order.json", "--header", "X"), "--header: 'X' is no header"),
        (("Signed", "order.json", "--url", "http://127.0.0.1:1"), "http://127.0.0.1:1: no answer: "),
        (("Signed", "order.json", "--container", "none.yaml"), "there is no such file"),
    ],
)
def test_what_cannot_be_sent_is_a_sentence(container, words, said, capsys):
    assert main(["send", "webhook", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_secret_in_another_writing_is_named_and_not_shown(container, monkeypatch, capsys):
    monkeypatch.setenv("HOOK_SECRET", "not-base64!")
    assert main(["send", "webhook", "Signed", "order.json"]) == 2
    said = capsys.readouterr()
    assert "the secret: is not base64" in said.err
    assert "not-base64" not in said.out + said.err


REFUSALS = [
    ((), "there is no header X-Signature; there is no time of signing"),
    (
        ("--header", "X-Signature: !", "--header", "X-Time: 7"),
        "what X-Signature holds is not base64; it was signed",
    ),
    (("--header", "X-Time: soon"), "there is no header X-Signature; the time of signing is no number"),
]


@pytest.mark.parametrize(("headers", "why"), REFUSALS)
def test_explain_says_why_a_webhook_is_refused_and_what_it_would_become(container, headers, why, capsys):
    words = ["explain", str(container), "--hit", "POST /webhooks/signed", "--body", '{"id": "T-1"}', *headers]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert f"warning   refused with 401: {why}" in said
    assert "answer    401" in said
    assert main([*words, "--header", "X-Topic: order", "--verified"]) == 0
    verified = capsys.readouterr().out
    assert 'transaction_id: "T-1"' in verified
    assert "answer    200" in verified
    assert SECRET not in said + verified


async def test_a_secret_in_a_header_of_a_request_that_made_a_client_raise_is_in_no_letter(
    container, serve, monkeypatch
):
    """design.md, Delivery: also where nobody could say any more what in the request is a credential."""
    served = await serve(load_container(container))
    client = served.worker.container.clients[1]

    def raises(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr("sgtm.clients.webhook._take", raises)
    answer = await ask(served.port, f"/webhooks/shown?token={SECRET}&a=1", method="POST", body=b'{"id": 1}')
    assert answer.status == 400
    letters = [kept.letter for kept in await served.worker.outbox.letters(0, 10)]
    assert [letter.record.request.query for letter in letters] == [b"a=1"]
    assert client.component.conceals(client.parameters) == ("token",)
    assert SECRET not in repr(letters)
