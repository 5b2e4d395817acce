# ruff: noqa: E501 - one seed, one line
"""Class 6, the Host and the target. SPEC: reliability 2.2."""

from http_seeds.writing import SMUGGLED, family, get, post, seeds, to


def _host(value: bytes) -> bytes:
    return get(host=b"Host: " + value + b"\r\n")


OTHER = seeds(
    6,
    {
        "no Host": get(host=b""),
        "two Hosts, another one": get(b"Host: other.example"),
        "two Hosts, the same": get(b"Host: shop.example"),
        "two Hosts, of different case": get(b"HOST: shop.example"),
        "two Hosts, the second empty": get(b"Host:"),
        "a Host that is folded": get(host=b"Host:\r\n shop.example\r\n"),
        "a Host with a space before its colon": get(host=b"Host : shop.example\r\n"),
        "no Host in HTTP/1.0, which may": get(start=b"GET /g/collect HTTP/1.0", host=b""),
        "OPTIONS of the whole server": get(start=b"OPTIONS * HTTP/1.1"),
        "CONNECT": get(start=b"CONNECT shop.example:443 HTTP/1.1"),
        "CONNECT to a path": get(start=b"CONNECT /g/collect HTTP/1.1") + SMUGGLED,
        "POST of an absolute target with another Host": post(b"Content-Length: 4").replace(
            b"POST /", b"POST http://other.example/"
        ),
    },
) | family(
    6, "the Host is {}", _host,
    (
        b"", b" ", b"a/b", b"/", b"user@a", b"user:pw@a", b"a,b", b"a, b", b"a b", b"\x00", b"a\x00b", b"a\tb",
        b"a?b", b"a#b", b"a\\b", b"a%20b", b"a%00b", b"a%0d%0ab", b"\xff", "é.example".encode(), b"http://a",
        b"a;b", b"a=b", b"a'b", b'"a"', b"<a>", b"a|b", b"{a}", b"a*", b"a\rb", b"a\x7f", b"a\xa0",
        b"[::1%25eth0]", b"a&b", b"a+b", b"a!b", b"(a)", b"a$b", b"~a",
    ),
) | family(
    6, "the target is {}", to,
    (
        b"http://other.example/g/collect?v=2", b"http://shop.example/g/collect", b"https://shop.example/g/collect",
        b"HTTP://shop.example/g/collect", b"http:///g/collect", b"http://", b"http://shop.example",
        b"http://user@shop.example/g/collect", b"http://[::1]/g/collect", b"http://shop.example:99999/",
        b"http:/g/collect", b"ftp://shop.example/", b"javascript:alert(1)", b"file:///etc/passwd", b"*",
        b"shop.example:443", b"/g/collect#a", b"/g/collect?a#b", b"#", b"g/collect", b"", b"/g/col lect",
        b"/g/\tcollect", b"/g/col\x0blect", b"/g/collect?\xff", b"/g/collect?\x01", b"/g/collect?\x7f",
        b"/g/collect\x00", b"/g/\xc0\xafcollect", "/g/collect?é".encode(), b"?v=2", b"//g/collect#", b"\\g\\collect",
        b"./g/collect", b"../g/collect", b"%2fg%2fcollect", b"/g/collect?a\rb", b"/g/collect?a\nb", b"@evil.example/",
    ),
)  # fmt: skip

PLAIN = family(
    6, "the Host is {}", _host,
    (
        b"127.0.0.1:0", b"[::1]:8080", b"[::1", b"a:99999", b":", b"a..b", b"-", b"[", b"a_b", b"a.example.",
        b"a:b:c", b"a:", b".", b"A" * 300, b"1", b"]",
    ),
) | family(
    6, "the target is {}", to,
    (
        b"/", b"//evil/g/collect", b"//g/collect", b"/..;/g/collect", b"/./g/collect", b"/g/../g/collect",
        b"/g/collect/", b"/g/collect/..", b"/g/collect;a=b", b"/g/collect?a=%00%0d%0a", b"/g%2fcollect", b"/g/collect%00",
        b"/g/collect?", b"/g/collect??", b"/g/collect?a=/../b", b'/g/collect?a="<>\\^`{|}', b"/%c0%af",
        b"/g\\collect", b"/healthz", b"/G/COLLECT", b"/g/collect?http://other.example/", b"/%", b"/%zz", b"/g/collect&v=2",
        b"/*", b"/:80/", b"/g/collect%20HTTP/1.1", b"/%67/collect",
    ),
) | seeds(
    6,
    {
        "the name in lower case, with a port": get(host=b"host:shop.example:8080\r\n"),
        "the name in upper case": get(host=b"HOST: SHOP.example\r\n"),
        "another header before it": get(host=b"X: a\r\nHost: a.example\r\n"),
        "names that resemble it": get(b"Host_: a", b"X-Host: b", b"Hos: c", b"Hostt: d"),
        "X-Forwarded-Host says another": get(b"X-Forwarded-Host: other.example"),
    },
)  # fmt: skip
