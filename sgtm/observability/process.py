"""What the kernel knows of this process, under the names that all Prometheus clients use."""

import gc
import os
import time
from contextlib import suppress
from pathlib import Path

from sgtm.observability.exposition import Sample
from sgtm.observability.logs import left_out

_PAGE_BYTES = os.sysconf("SC_PAGESIZE")
STARTED_S = time.time()


def cpu_sample() -> Sample:
    """CPU seconds of this process, user and system."""
    return Sample("process_cpu_seconds_total", "", time.process_time())


def process_samples() -> list[Sample]:
    """CPU, memory and descriptors of this process; without /proc the CPU alone."""
    samples = [cpu_sample(), *_gc_samples()]
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        samples.append(Sample("process_resident_memory_bytes", "", pages * _PAGE_BYTES))
        samples.append(Sample("process_open_fds", "", len(os.listdir("/proc/self/fd"))))
    return samples


def disk_samples(folder: str) -> list[Sample]:
    """Room on the disk that `folder` is on; nothing while it is not there."""
    with suppress(OSError):
        disk = os.statvfs(folder)
        return [
            Sample("sgtm_disk_free_bytes", "", disk.f_bavail * disk.f_frsize),
            Sample("sgtm_disk_size_bytes", "", disk.f_blocks * disk.f_frsize),
        ]
    return []


def log_samples() -> list[Sample]:
    """Lines of the log that this process left out."""
    return [Sample("sgtm_log_lines_left_out_total", why, count) for why, count in left_out.items()]


def _gc_samples() -> list[Sample]:
    """How much the garbage collector had to do."""
    return [
        Sample(name, str(generation), stats[key])
        for generation, stats in enumerate(gc.get_stats())
        for name, key in (
            ("python_gc_collections_total", "collections"),
            ("python_gc_objects_collected_total", "collected"),
        )
    ]
