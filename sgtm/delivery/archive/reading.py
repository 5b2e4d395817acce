"""Reading: the records of all slots that were received in a time, whoever writes meanwhile."""

from collections.abc import Iterator
from pathlib import Path

from sgtm.delivery.archive.keeping import FOLDER, SUFFIX
from sgtm.delivery.archive.segment import read_segment
from sgtm.messages import Record


class Reading:
    """One way through an archive; afterwards it says what it met."""

    def __init__(self, data_folder: str | Path, from_micros: int, to_micros: int) -> None:
        self._root = Path(data_folder) / FOLDER
        self._from, self._to = from_micros, to_micros
        self.segments = 0
        self.damaged = 0
        """Records or frames that could not be read."""

    def records(self) -> Iterator[Record]:
        """Each record at least once, the oldest segment of all slots first. What cannot be read is passed
        over and counted."""
        for path in self.paths():
            self.segments += 1
            try:
                with path.open("rb") as file:
                    for found in read_segment(file, self._from, self._to):
                        self.damaged += found.damaged
                        yield from found.records
            except FileNotFoundError:  # its time was over
                continue
            except OSError:
                self.damaged += 1

    def paths(self) -> list[Path]:
        """Segments that may hold such records: none is received after it was archived."""
        found = []
        for path in sorted(self._root.glob(f"slot-*/*{SUFFIX}"), key=lambda path: path.name):
            try:
                if path.stat().st_mtime * 1e6 >= self._from:
                    found.append(path)
            except OSError:
                continue
        return found
