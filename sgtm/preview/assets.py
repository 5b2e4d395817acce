"""The preview's page: its files, shipped in the package as they are written, and the policies they go with.

    asset("app.js")        a file under /preview/assets/, or None: there are no others
    page()                 the HTML of /preview/
    login_page("...")      the HTML of /preview/login

Nothing is built. `lit-html.js` is a published release, unmodified; `library.json` says which, and
`python -m sgtm.preview.library` takes another.
"""

import base64
import hashlib
import html
import re
from functools import cache
from importlib.resources import files

from msgspec import Struct

_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_CLOSED = "base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'"

PAGE_POLICY = f"default-src 'self'; {_CLOSED}; require-trusted-types-for 'script'; trusted-types lit-html"
"""Content-Security-Policy of the page and its files: no inline code or style, no eval, and only the library's
own templates may become HTML."""


class Asset(Struct, frozen=True):
    """A file of the page."""

    content: bytes
    content_type: str
    etag: str
    """With its quotation marks."""


@cache
def assets() -> dict[str, Asset]:
    """All files that may be served, by name."""
    found = {}
    for file in (files("sgtm.preview") / "assets").iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix in _TYPES:
            content = file.read_bytes()
            found[file.name] = Asset(content, _TYPES[suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    return found


def asset(name: str) -> Asset | None:
    """The file of this name."""
    return assets().get(name)


@cache
def page() -> bytes:
    """The page. It holds no data: it asks for them."""
    return _html("index.html").encode()


def login_page(error: str = "") -> bytes:
    """The form that asks for the token; `error` says why the last one was not taken."""
    shown = f'<p role="alert">{html.escape(error)}</p>' if error else ""
    return _html("login.html").replace("<!--error-->", shown).encode()


@cache
def login_policy() -> str:
    """Content-Security-Policy of the login page: it loads nothing, its one style is known by its hash."""
    style = re.search("<style>(.*?)</style>", _html("login.html"), re.DOTALL)
    digest = hashlib.sha256(style[1].encode() if style is not None else b"").digest()
    return f"default-src 'none'; style-src 'sha256-{base64.b64encode(digest).decode()}'; {_CLOSED}"


@cache
def _html(name: str) -> str:
    return (files("sgtm.preview") / "assets" / name).read_text("utf-8")
