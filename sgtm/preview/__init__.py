"""Preview: what one request did, as a page shows it. Pure: walks in, views out.

view.py     the structs of the page's API
encoding.py a walk becomes a view
masking.py  what a view never shows
case.py     a view becomes a test case for `sgtm test`
assets.py   the page itself, as files
"""
