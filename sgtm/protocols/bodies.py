"""Request bodies of senders that are no browser: what they hold, whatever their headers say.

Content types are wrong too often to be believed (SPEC: ga4-protocol 11.2; requirements R83): a body is
known by how it begins.

    gzip magic -> unpacked, then:   { or [ -> JSON, or NDJSON     < -> XML     name=value -> form

XML becomes what JSON would be: an element is the text in it, or a mapping of its children, the same name
twice is a list; attributes are `@name`, text beside them is `#text`. A DTD is refused, and with it every
entity of its own. Form fields nest as PHP writes them: `line[0][sku]=A` is `line.0.sku`.
"""

import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal
from urllib.parse import parse_qsl
from xml.parsers import expat

import msgspec

MAX_BODY_BYTES = 4_000_000
"""Of a body after decompression."""
MAX_RATIO = 100
"""A body may not unpack to more than this times its size; below 64 KB nobody asks."""
MAX_DEPTH = 64
"""Of elements in elements (XML), and of names in a name (forms)."""
MAX_NAMES = 20_000
"""Of a form, those in its names too: `a[b]` is two. Each costs a hundred times its bytes in memory."""

Form = Literal["json", "ndjson", "form", "xml"]

_GZIP_MAGIC = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"
_DECODER = msgspec.json.Decoder()
_TOO_MANY_NAMES = "the form has too many fields, or names in their names"
_NAME_AND_VALUE = re.compile(rb"[^\s=&<>{}\"]+=")


class Unreadable(Exception):
    """A body that holds no events; the status that says so, and why in words without its content."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def unpack(body: bytes) -> bytes:
    """The body, unpacked if its first bytes say gzip: some senders label it wrongly, some proxies unpack
    it and leave the label (SPEC: ga4-protocol 11.2). Raises Unreadable."""
    if not body.startswith(_GZIP_MAGIC):
        return body
    limit = min(MAX_BODY_BYTES, max(MAX_RATIO * len(body), 65_536))
    stream = zlib.decompressobj(wbits=31)
    try:
        unpacked = stream.decompress(body, limit + 1)
    except zlib.error:
        raise Unreadable(400, "the gzip body is damaged") from None
    if len(unpacked) > limit:
        raise Unreadable(413, "the body unpacks to too much")
    if not stream.eof or stream.unused_data:
        raise Unreadable(400, "the gzip body is cut off, or goes on after its end")
    return unpacked


def read_body(body: bytes, forms: tuple[Form, ...]) -> Any:
    """What a body (packed or not) holds as plain data: NDJSON a list of its lines, an empty body None.

    Raises Unreadable: 400 for what cannot be read, 413 for what unpacks to too much, 415 for a form
    that is none of `forms`."""
    text = unpack(body).removeprefix(BOM).strip()
    if not text:
        return None
    allowed = [form for form in _forms_of(text) if form in forms]
    if not allowed:
        raise Unreadable(415, f"the body is none of these: {', '.join(forms)}")
    for form in allowed[:-1]:
        with suppress(Unreadable):
            return _READERS[form](text)
    return _READERS[allowed[-1]](text)


def _forms_of(text: bytes) -> tuple[Form, ...]:
    """What a body may be, by how it begins."""
    if text.startswith((b"{", b"[")):
        return ("json", "ndjson")
    if text.startswith(b"<"):
        return ("xml",)
    return ("form",) if _NAME_AND_VALUE.match(text) else ("json",)


def _read_json(text: bytes) -> Any:
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise Unreadable(400, "the body is no JSON") from None


def _read_lines(text: bytes) -> list[Any]:
    try:
        return _DECODER.decode_lines(text)
    except (ValueError, RecursionError):
        raise Unreadable(400, "the body is no JSON, nor is each of its lines") from None


# -- forms -------------------------------------------------------------------------------------


def _read_form(text: bytes) -> dict[str, Any]:
    if text.count(b"&") >= MAX_NAMES:
        raise Unreadable(413, _TOO_MANY_NAMES)
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="replace")
    except ValueError:
        raise Unreadable(400, "the body is no form: a byte in it is not escaped") from None
    found: dict[str, Any] = {}
    left = MAX_NAMES
    for name, value in pairs:
        steps = _steps(name)
        left -= len(steps)
        if left < 0:
            raise Unreadable(413, _TOO_MANY_NAMES)
        _put(found, steps, value)
    return found


def _steps(name: str) -> list[str]:
    """The names in a name: `a[b][]` is a, b and an empty one."""
    head, *rest = name.split("[", MAX_DEPTH)
    return [head, *(step.removesuffix("]") for step in rest)][:MAX_DEPTH]


def _put(found: dict[str, Any], steps: list[str], value: str) -> None:
    """Put a value into mappings; an empty name counts up. What contradicts what is there already is left
    out."""
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        key = step or str(len(found))
        if following is None:
            found.setdefault(key, value)
            return
        inside = found.setdefault(key, {})
        if not isinstance(inside, dict):
            return
        found = inside


# -- XML ---------------------------------------------------------------------------------------


class _Element:
    __slots__ = ("children", "name", "texts")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.texts: list[str] = []
        self.children: dict[str, Any] = {f"@{key}": value for key, value in attributes.items()}

    def add(self, name: str, value: Any) -> None:
        """One more child."""
        if name not in self.children:
            self.children[name] = value
        elif isinstance(self.children[name], list):
            self.children[name].append(value)
        else:
            self.children[name] = [self.children[name], value]

    def value(self) -> Any:
        """A text, or a mapping."""
        text = "".join(self.texts).strip()
        if not self.children:
            return text
        return {**self.children, "#text": text} if text else self.children


class _Xml:
    """Builds plain data while expat reads; the depth is bounded, and no DTD is read."""

    def __init__(self) -> None:
        self._open = [_Element("", {})]

    def read(self, text: bytes) -> Any:
        """What is in it, under the name of the outermost element. Raises Unreadable."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        try:
            parser.Parse(text, True)
        except (expat.ExpatError, LookupError, ValueError):
            raise Unreadable(400, "the body is no well-formed XML") from None
        return self._open[0].value()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) > MAX_DEPTH:
            raise Unreadable(400, "the elements of the XML are nested too deep")
        self._open.append(_Element(name, attributes))

    def _end(self, name: str) -> None:
        element = self._open.pop()
        self._open[-1].add(name, element.value())

    def _text(self, text: str) -> None:
        self._open[-1].texts.append(text)

    def _doctype(self, *_: object) -> None:
        raise Unreadable(400, "the XML has a DTD, which may define entities without end")


_READERS: dict[Form, Callable[[bytes], Any]] = {
    "json": _read_json,
    "ndjson": _read_lines,
    "form": _read_form,
    "xml": lambda text: _Xml().read(text),
}
