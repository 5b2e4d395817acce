"""sgtm: a server-side tag manager. The corridor, in the order in which a hit walks it:

server/       accept a request, answer it
pipeline.py   THE page: one function per hop        hit.py  what one claimed request owes
clients/      the first client that claims the request turns it into event data
event.py      Event: name, event data, key paths    consent.py  one typed view of consent
repeats.py    hits that came before, for clients that ask
variables/    resolved lazily
triggers/     decide which tags fire
tags/         each firing tag builds outgoing requests from the event
delivery/     outbox, lanes, retries, sender
answers.py    what goes back to the browser: cookies, CORS, preflights

Beside the corridor: messages.py (every value that the stages hand to each other), protocols/ (wire
formats, both directions), cookies.py, identifiers.py and place_names.py (user data by vendors' rules),
container/ (what is configured), component.py (the registry), settings.py (the process),
observability/, demo/, cli/, and _fast/ (the compiled core).
"""

__version__ = "0.1.0"
