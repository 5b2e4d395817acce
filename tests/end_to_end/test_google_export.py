"""An export in real processes, with its settings file: served, answered, reloaded, by two workers."""

import signal

from processes import Server, until
from raw_http import ask

from tests.container.google.exports import export

EXPORT = export(
    client=[{"name": "GA4", "type": "gaaw_client"}],
    tag=[
        {"name": "GA4", "type": "sgtmgaaw", "firingTriggerId": ["2147479574"]},
        {"name": "Ads", "type": "sgtmadsct", "firingTriggerId": ["2147479574"]},
    ],
).decode()
HIT = "/g/collect?v=2&tid=G-ABC123&cid=1.2&_p=1&en=purchase"


async def test_an_export_is_served_with_what_it_cannot_say_and_both_are_read_again(tmp_path, vendor):
    settings = tmp_path / "sgtm.yaml"
    text = f"workers: 2\negress_allow: [127.0.0.1]\ncontainer:\n  tags: {{ga4: {{endpoint: {vendor.url}}}}}\n"
    settings.write_text(text)
    server = await Server.start(tmp_path, "--settings", str(settings), container=EXPORT)
    try:
        # SPEC: design.md, Decisions (200 with an empty body)
        answer = await ask(server.port, HIT)
        assert (answer.status, answer.body) == (200, b"")
        (received,) = await vendor.wait_for(1, "/g/collect")
        assert "en=purchase" in received.query
        settings.write_text(text + "  clients: {ga4: {answer: 204}}\n")
        server.send_signal(signal.SIGHUP)

        async def is_reloaded():
            return {(await ask(server.port, HIT)).status for _ in range(8)} == {204}

        await until(is_reloaded)
        settings.write_text(text + "  clients: {ga5: {answer: 204}}\n")
        server.send_signal(signal.SIGHUP)
        await server.said("the new container was refused")
        assert (await ask(server.port, HIT)).status == 204
    finally:
        server.send_signal(signal.SIGINT)
        await server.finish()
