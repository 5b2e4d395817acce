"""Bytes for the collect parser, built from its grammar: random bytes alone would rarely be a hit."""

from hypothesis import strategies as st
from reference.collect import ITEM_CODES, KNOWN

HEX = [format(byte, "02x") for byte in range(256)]
ESCAPES = [f"%{digits}".encode() for pair in HEX for digits in sorted({pair, pair.upper()})]
"""Every escape, in lower and in upper case."""
MIXED_ESCAPES = [b"%aF", b"%Fa", b"%eF", b"%Ce"]
CUT_ESCAPES = [b"%", b"%4", b"%a", b"%zz", b"%4g", b"%g4", b"%%", b"%25", b"%2541", b"%+1", b"% 1", b"%-1"]
HIGH_BYTES = [
    b"\x80",
    b"\xc3",
    b"\xff",
    b"\xf0\x9f\x98",
    b"\xed\xa0\x80",
    "é".encode(),
    "日本".encode(),
    b"\x00",
]
SEPARATORS = [b"&", b"=", b"&&", b"==", b"+", b";", b"|", b"~", b"~~", b"~~~", b".", b"-", b",", b'"', b"\\"]
LINE_BREAKS = [b"\n", b"\r\n", b"\r", b"\n\n", b" \n", b"\r\r\n"]
NUMBERS = [
    b"0", b"1", b"-1", b"10.0", b"1.5", b".5", b"5.", b".", b"-", b"-.5", b"1e3", b"1e-7", b"1E+3",
    b"1e", b"1e+", b"1e999", b"-1e999", b"NaN", b"Infinity", b"1_000", b"0x10", b"007", b"-0", b"-0.0",
    b"9007199254740993",
    b"1747422523211", b"123456789012345", b"1234567890123456", b"12345678901234567000", b"0.1",
    b"35.6638714628", b"0.12345678901234567", b"9e15", b"8999999999999999.5", b"1" * 40, b"1" * 41,
    b"0" * 39 + b".5", b"+1", b" 1",
]  # fmt: skip
TEXTS = [
    b"",
    b"a",
    b"page_view",
    b"G-1",
    b"true",
    b"BR-SP",
    b"LV-080",
    b"US-",
    b"AAAAAAQ",
    b"IA",
    b"IIA",
    b"uip",
    b"Q",
    b"AB",
]
BRANDS = [
    b"Chromium%3B136.0%7CNot.A%252FBrand%3B99",
    b"A;1|B;2",
    b"A%253B1%257CB%253B2",
    b"|;|a|",
    b"a;b;c|d",
]

value_pieces = st.one_of(
    st.sampled_from(ESCAPES),
    st.sampled_from(MIXED_ESCAPES + CUT_ESCAPES + HIGH_BYTES + [s for s in SEPARATORS if b"&" not in s]),
    st.sampled_from(NUMBERS + TEXTS + BRANDS),
    st.binary(max_size=4).map(lambda some: some.replace(b"&", b"")),
)
values = st.one_of(
    st.sampled_from(NUMBERS + TEXTS + BRANDS), st.lists(value_pieces, max_size=6).map(b"".join)
)

item_codes = st.sampled_from(
    [*(code.encode() for code in ITEM_CODES), b"k0", b"v0", b"kA", b"vA", b"k1", b"v1", b"xx", b"k", b""]
)
item_parts = st.tuples(
    item_codes, st.one_of(st.sampled_from([*NUMBERS, *TEXTS, b"item_id", b"a~b", b"a~~b"]), values)
)
items = st.lists(item_parts.map(b"".join), max_size=6).flatmap(
    lambda parts: st.sampled_from([b"~", b"~", b"~", b"%7E", b"~~", b"~~~"]).map(
        lambda tilde: tilde.join(parts)
    )
)

paths = st.lists(
    st.sampled_from([b"address", b"email", b"0", b"1", b"2", b"00", b"", b"_tag_mode"]),
    min_size=1,
    max_size=10,
)
event_keys = st.one_of(
    st.sampled_from([key.encode() for key, _ in KNOWN.values()]),
    st.sampled_from([
        b"items", b"user_data", b"client_hints", b"event_location", b"x-ga-system_properties", b"event_name",
        b"x-sst-system_properties", b"x-ga-mp2-user_properties", b"value", b"a.b", b"", b"my%20key", b"\xff",
        b"ip_override", b"user_agent", b"a" * 60,
    ]),
)  # fmt: skip
names = st.one_of(
    st.sampled_from([name.encode() for name in KNOWN]),
    st.sampled_from([b"en", b"en", b"uafvl", b"_eu", b"_et", b"ur", b"%65n", b"e%6E", b"e+n"]),
    st.tuples(
        st.sampled_from([b"ep.", b"epn.", b"up.", b"upn.", b"sst.", b"_", b"EP.", b""]), event_keys
    ).map(b"".join),
    st.tuples(st.sampled_from([b"ep.user_data.", b"epn.user_data."]), paths.map(b".".join)).map(b"".join),
    st.sampled_from(
        [b"pr", b"pr0", b"pr01", b"pr200", b"pr201", b"pr1id", b"pr999", b"pr2\xb2", b"ep", b"_", b"gap.x"]
    ),
    value_pieces,
)
item_names = st.integers(1, 5).map(lambda number: b"pr%d" % number)
parts = st.one_of(
    st.tuples(names, st.just(b"="), values).map(b"".join),
    st.tuples(item_names, st.just(b"="), items).map(b"".join),
    names,
)
queries = st.lists(parts, max_size=12).map(b"&".join)
event_lines = queries.map(lambda query: b"en=page_view&" + query)
lines = st.one_of(event_lines, event_lines, queries)
bodies = st.lists(st.one_of(lines, st.sampled_from(LINE_BREAKS)), max_size=5).flatmap(
    lambda some: st.sampled_from(LINE_BREAKS).map(lambda line_break: line_break.join(some))
)
"""Bodies and queries do not only hold what is well formed: that is the point."""

header_pieces = st.sampled_from(
    [b'"Chromium"', b';v="136"', b"; v=", b", ", b'"Not\\"A;B"', b"\\", b'"', b"\xff", b"?1", b"?0"]
)
headers = st.lists(
    st.tuples(
        st.sampled_from([b"user-agent", b"sec-ch-ua", b"sec-ch-ua-mobile", b"sec-ch-ua-platform", b"accept"]),
        st.lists(header_pieces, max_size=6).map(b"".join),
    ),
    max_size=6,
).map(tuple)
gcd_letters = st.sampled_from("0123456789lmnpqrtuvPR-_AZaz!é")
consent_texts = st.lists(gcd_letters, max_size=14).map(lambda letters: "1" + "".join(letters))
