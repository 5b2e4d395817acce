"""Print the JSON Schema of container.yaml or of a settings file, for editors and checks.

Editors with a YAML language server read it when the file begins with
`# yaml-language-server: $schema=container.schema.json`.
"""

import argparse

import msgspec

from sgtm.container.schema import container_schema
from sgtm.container.settings_file import settings_schema


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which of the two."""
    parser.add_argument("--of", choices=("container", "settings"), default="container", help="which file")


def run(arguments: argparse.Namespace) -> int:
    """Print the schema."""
    schema = settings_schema() if arguments.of == "settings" else container_schema()
    print(msgspec.json.format(msgspec.json.encode(schema), indent=2).decode())
    return 0
