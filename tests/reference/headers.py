"""Plain-Python twin of sgtm/_fast/headers.pyx."""


def find_header(headers, name):
    return next((value for key, value in headers if key == name), None)


def headers_size(headers):
    return sum(len(name) + len(value) for name, value in headers)


def header_text(headers, name):
    value = find_header(headers, name)
    return None if value is None else value.decode("utf-8", "replace")
