"""TLS of outgoing connections: verified, always, 1.2 or later (SPEC: reliability 3, rule 6)."""

import ssl


def verified_context(ca_file: str | None = None) -> ssl.SSLContext:
    """A context that checks certificate and host name; `ca_file` adds an authority to the system's."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # RFC 9525, 6.3: a certificate without alternative names is for no host, whatever its subject says
    context.hostname_checks_common_name = False
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context
