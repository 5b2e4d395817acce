"""Plain-Python twin of sgtm/_fast/headers.pyx."""


def find_header(headers, name):
    return next((value for key, value in headers if key == name), None)


def headers_size(headers):
    return sum(len(name) + len(value) for name, value in headers)
