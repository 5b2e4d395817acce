"""Plain-Python twin of sgtm/_fast/cookies.pyx: slow on purpose, written to be read."""

MAX_VALUES = 50


def find_cookie(header: bytes, name: bytes) -> bytes | None:
    return next(iter(find_cookies(header, name)), None)


def find_cookies(header: bytes, name: bytes) -> list[bytes]:
    values = []
    for pair in header.split(b";"):
        key, equals, value = pair.partition(b"=")
        if equals and name and key.strip(b" \t") == name:
            values.append(value.strip(b" \t"))
    return values[:MAX_VALUES]


def first_values(headers: tuple[tuple[bytes, bytes], ...], names: tuple[bytes, ...]) -> list[str | None]:
    texts = [text for name, text in headers if name == b"cookie"]
    found = [next((value for text in texts for value in find_cookies(text, name)), None) for name in names]
    return [None if value is None else value.decode("utf-8", "replace") for value in found]
