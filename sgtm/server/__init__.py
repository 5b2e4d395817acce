"""Accept a request, answer it.

run.py           from settings to the exit status
service.py       signals, and what else operators reach it by: admin.py, systemd.py, watch.py
crew.py          all workers of a server: solo.py, one in this process; supervisor.py, each in its own
slot.py          a socket and who serves it      child.py  a worker seen from outside
slot_process.py  a worker's own process      control.py  the channel between them, questions.py  what is asked
worker.py        all state of one slot      listening.py  sockets      data_folder.py  what outlives it
connection.py    aiohttp's connections, with our words for what is wrong
admission.py     how many connections, from whom, how long      rate.py  how many requests of one network
application.py   a request of aiohttp's -> IncomingRequest -> pipeline -> answer
limits.py        how large and how slow      proxy.py  which peer is believed      health.py  alive, ready
scripts.py       gtm.js and gtag.js: script_upstream.py fetches, script_cache.py keeps
"""
