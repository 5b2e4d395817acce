"""Preview: what one request did, as a page shows it. Pure: walks in, views out.

view.py     the structs of the page's API
encoding.py a walk becomes a view
masking.py  what a view never shows
marks.py    how a request says that it belongs to a session, and how that is taken out of it
sessions.py who looks at which requests, until when
ring.py     the latest requests of one session, bounded
login.py    who may look
case.py     a view becomes a test case for `sgtm test`
assets.py   the page itself, as files
"""
