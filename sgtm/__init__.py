"""sgtm: a server-side tag manager. The corridor, in the order in which a hit walks it:

server/       accept a request, answer it
pipeline.py   THE page: one function per hop
clients/      the first client that claims the request turns it into event data
event.py      Event: name, event data, key paths        consent.py  one typed view of consent
variables/    resolved lazily
triggers/     decide which tags fire
tags/         each firing tag builds outgoing requests from the event
delivery/     outbox, lanes, retries, sender

Beside the corridor: protocols/ (wire formats, both directions), container/ (what is configured),
component.py (the registry), observability/, demo/, cli/, and _fast/ (the compiled core).
"""

__version__ = "0.1.0"
