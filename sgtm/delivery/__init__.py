"""Send, at least once. In the order in which a delivery walks it:

outbox/            keeps the record of a hit until its tags owe nothing (engines: memory, sqlite)
delivery.py        one outgoing request on its way, and the batch in which it travels
lanes.py           which lane it takes: one per destination
lane.py            queue.py holds what waits, circuit.py says whether anything may leave, retry.py when again
sender.py          request_writer.py checks what is written; the secret comes from credentials.py, or an
                   access token from tokens.py (grants.py asks for it, rs256.py signs)
egress.py          the one door: what may be connected to (addresses.py: the table); tls.py verifies
judge.py           the tag's own word on the answer; errors.py is the closed list of what can fail
settling.py        every delivery ends here, once
"""
