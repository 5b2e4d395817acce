"""Where the source checkout is, for commands that write into it."""

from pathlib import Path


def find_checkout() -> Path | None:
    """The folder, from here upwards, that holds the source of sgtm and its golden cases."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "sgtm" / "component.py").is_file() and (folder / "tests" / "golden").is_dir():
            return folder
    return None
