"""Writes a small database in MaxMind's format: IPv4 networks -> records.

SPEC: MaxMind DB File Format 2.0 (24-bit records, no pointers in the data).
"""

import ipaddress


class Count(int):
    """A number of 32 bits."""


def write_database(path, networks):
    """`networks`: {"203.0.113.0/24": {"country": {"iso_code": "DE"}}}, of texts, lists, mappings."""
    nodes, data, offsets = [[None, None]], bytearray(), {}
    for text, record in networks.items():
        network = ipaddress.ip_network(text)
        offsets[text] = len(data)
        data += encoded(record)
        bits = f"{int(network.network_address):032b}"[: network.prefixlen]
        node = 0
        for bit in bits[:-1]:
            if nodes[node][int(bit)] is None:
                nodes.append([None, None])
                nodes[node][int(bit)] = len(nodes) - 1
            node = nodes[node][int(bit)]
        nodes[node][int(bits[-1])] = text
    tree = b"".join(side(child, nodes, offsets).to_bytes(3, "big") for node in nodes for child in node)
    metadata = {
        "node_count": Count(len(nodes)),
        "record_size": 24,
        "ip_version": 4,
        "database_type": "Test-City",
        "languages": ["en"],
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": 2**40,
        "description": {"en": "test"},
    }
    path.write_bytes(tree + bytes(16) + bytes(data) + b"\xab\xcd\xefMaxMind.com" + encoded(metadata))
    return str(path)


def side(child, nodes, offsets):
    if child is None:
        return len(nodes)
    return len(nodes) + 16 + offsets[child] if isinstance(child, str) else child


def encoded(value):
    if isinstance(value, str):
        content = value.encode()
        assert len(content) < 29
        return bytes([2 << 5 | len(content)]) + content
    if isinstance(value, int):  # of 64, 32 or 16 bits: readers are strict about the types of metadata
        content = value.to_bytes(8, "big").lstrip(b"\0")
        if value >= 2**32:
            return bytes([len(content), 9 - 7]) + content
        return bytes([(6 if isinstance(value, Count) else 5) << 5 | len(content)]) + content
    if isinstance(value, dict):
        assert len(value) < 29
        pairs = b"".join(encoded(key) + encoded(item) for key, item in value.items())
        return bytes([7 << 5 | len(value)]) + pairs
    return bytes([len(value), 11 - 7]) + b"".join(map(encoded, value))
