"""What fuzzing begins with: inputs that the other tests and the examples already have."""

import ast
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import yaml
from delivery.test_answer_reader import BAD, SHAPES
from http_corpus import SEEDS
from server.test_proxy_protocol import GOOD

from sgtm._fast.collect import parse_collect

TESTS = Path(__file__).parents[1]
EXAMPLES = TESTS.parent / "examples"
MOST_BYTES = 4_000
"""Small inputs are changed at more of their places in the same time."""


def requests() -> list[bytes]:
    """Of the corpus of HTTP requests."""
    return [text for text in SEEDS if len(text) < 2_000]


def answers() -> list[bytes]:
    """Answers of vendors, well-formed and not; the first byte says in what pieces they come."""
    texts = [text for text, _ in SHAPES.values()] + list(BAD.values())
    return [bytes([number % 40]) + text for number, text in enumerate(texts) if len(text) < MOST_BYTES]


def proxy_headers() -> list[bytes]:
    """Of both versions."""
    return [text for text, _ in GOOD.values() if len(text) < MOST_BYTES]


def hits() -> list[bytes]:
    """Recorded ones: query and body."""
    lines = (TESTS / "vectors/ga4-hits.jsonl").read_text().splitlines()
    read = [json.loads(line) for line in lines]
    return [(one["target"].partition("?")[2] + "\0" + one["body"]).encode() for one in read]


def events() -> list[bytes]:
    """Event data of the same hits, and such as no browser sends."""
    parsed = [event for text in hits() for event in parse_collect(*text.split(b"\0", 1))]
    odd = {"items": [{"price": [1, None]}, 3], "user_data": {"a": [{"b": []}]}, "x-ga-mp2-tid": 1e300, "": {}}
    return [json.dumps(event).encode() for event in [*parsed, odd]]


def cookies() -> list[bytes]:
    """A name and the header in which it is looked for."""
    headers = [b"FPID=a; b=c", b" FPID = a;FPID=b;;=c; d", b'_ga=GA1.1.5.6; FPID="q"; FPID', b"a=1;" * 60]
    return [name + b"\0" + header for header in headers for name in (b"FPID", b"a", b"")]


def identifiers() -> list[bytes]:
    """What to drop, and a text of the vectors that all vendors' rules are tested with."""
    vectors = json.loads((TESTS / "vectors/capi-user-data.json").read_text())
    texts = [text for vector in vectors for text in vector.values() if isinstance(text, str)]
    return [bytes([number % 16]) + text.encode() for number, text in enumerate(texts)]


def bodies() -> list[bytes]:
    """Of webhooks, in every form that is read."""
    order = {"order": {"id": 1, "lines": [{"sku": "A", "price": 1.5}, {"sku": "é"}], "note": None}}
    xml = b'<?xml version="1.0"?><o id="1"><l>A</l><l>B<![CDATA[<]]></l><!-- c -->text &amp; &#65;</o>'
    return [
        json.dumps(order).encode(),
        b'{"a": 1}\n{"b": [2]}\n\n"c"\n',
        b"a=1&b[c]=2&b[d][]=3&b[d][]=4&e=%C3%A9+%zz",
        xml,
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        gzip.compress(xml, mtime=0),
    ]


def scripts() -> list[bytes]:
    """Programs of the tests of the dialect, one line each, and the code of all templates here."""
    found = [
        *_programs(TESTS / "templates/test_language.py"),
        *_programs(TESTS / "templates/test_hostile.py"),
    ]
    found += [text.partition("JS_FOR_SERVER___\n")[2].partition("\n___")[0] for text in _templates()]
    return [program.encode() for program in found if len(program) < MOST_BYTES]


def _programs(path: Path) -> Iterator[str]:
    """Texts in lists of cases that look like code."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Tuple) and node.elts and isinstance(node.elts[0], ast.Constant):
            text = node.elts[0].value
            if isinstance(text, str) and any(sign in text for sign in (";", "return", "=>")):
                yield text.encode("utf-8", "replace").decode()


def _templates() -> list[str]:
    return [path.read_text() for path in sorted(EXAMPLES.rglob("*.tpl"))]


def templates() -> list[bytes]:
    """Whole files, of the examples and of an export."""
    return [text.encode() for text in [*_templates(), *_of_export("customTemplate", "templateData")]]


def containers() -> list[bytes]:
    """Each of the examples, each of the cases that `check` is tested with."""
    texts = [path.read_text() for path in sorted(EXAMPLES.rglob("container.yaml"))]
    for path in sorted((TESTS / "golden/containers").glob("*.yaml")):
        written = yaml.safe_load(path.read_text())["container"]
        texts.append(written if isinstance(written, str) else yaml.safe_dump(written))
    return [text.encode() for text in texts if len(text) < MOST_BYTES]


def exports() -> list[bytes]:
    """An export for each entity of the one that has everything."""
    whole = _export()
    version = whole["containerVersion"]
    head = {key: value for key, value in version.items() if not isinstance(value, list)}
    small = [
        {**whole, "containerVersion": {**head, kind: [entity]}}
        for kind, entities in version.items()
        if isinstance(entities, list)
        for entity in entities
    ]
    return [json.dumps(one, indent=1).encode() for one in small]


def _export() -> dict[str, dict[str, list[dict[str, str]]]]:
    return json.loads((TESTS / "golden/exports/everything.json").read_text())


def _of_export(kind: str, key: str) -> list[str]:
    return [entity[key] for entity in _export()["containerVersion"][kind]]
