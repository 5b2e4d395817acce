"""Print the JSON Schema of container.yaml, for editors and for checks outside of sgtm.

Editors with a YAML language server read it when the container file begins with
`# yaml-language-server: $schema=container.schema.json`.
"""

import argparse

import msgspec

from sgtm.container.schema import container_schema


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Print the schema."""
    print(msgspec.json.format(msgspec.json.encode(container_schema()), indent=2).decode())
    return 0
