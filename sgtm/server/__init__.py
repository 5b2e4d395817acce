"""Accept a request, answer it.

run.py           from settings to the exit status      worker.py  all state of one slot
listening.py     the socket that the world connects to
connection.py    aiohttp's connections, with our words for what is wrong
admission.py     how many connections, from whom, how long      rate.py  how many requests of one network
application.py   a request of aiohttp's -> IncomingRequest -> pipeline -> answer
limits.py        how large and how slow      proxy.py  which peer is believed      health.py  alive, ready
scripts.py       gtm.js and gtag.js: script_upstream.py fetches, script_cache.py keeps
"""
