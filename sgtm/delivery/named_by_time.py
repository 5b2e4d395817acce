"""Files that are written from front to back and named by when they were begun (archive, journal).

No two writers have one file, whoever begins at the same moment; sorted by name they are in their order.
"""

import os
import secrets
import time
from pathlib import Path


def begin_file(folder: Path, suffix: str, header: bytes) -> tuple[int, Path]:
    """A new file in this folder with its header, open to be appended to by its owner. Raises OSError."""
    path = folder / f"{time.time_ns() // 1000:016d}-{os.getpid()}-{secrets.token_hex(2)}{suffix}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    file = os.open(path, flags, 0o600)
    try:
        write_all(file, header)
    except OSError:
        os.close(file)
        raise
    return file, path


def write_all(file: int, data: bytes) -> None:
    """Write all of it, in as many pieces as the kernel wants. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
