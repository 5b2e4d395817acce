"""Accept a request, answer it.

run.py           a worker's life: bind, start, serve, drain
connection.py    aiohttp's connections, with our words for what is wrong
application.py   a request of aiohttp's -> IncomingRequest -> pipeline -> answer
limits.py        how large and how slow      proxy.py  which peer is believed      health.py  alive, ready
"""
