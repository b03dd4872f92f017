"""The folder in which the workers of a web part share their metrics (prometheus_client's multiprocess)."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import values
from prometheus_client.core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

PREFIX = "botwatch-metrics-"
LOCK = "lock"
SUMMED = ("counter", "histogram", "summary")
ENDED = 0
"""Stands for the process ID of all workers that ended."""


def share_metrics() -> str:
    """Let the workers that are forked from this process share their metrics in a new folder; return it.

    prometheus_client chooses how it stores values at its import; a metric with labels stores none before its
    first use, one without labels must be created after this call.
    """
    folder = os.environ["PROMETHEUS_MULTIPROC_DIR"] = create_multiprocess_dir()
    values.ValueClass = values.get_value_class()
    return folder


def create_multiprocess_dir() -> str:
    """Return a new folder, and delete those of killed masters.

    A folder is locked while its master or one of the workers is running.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        _remove_unless_used(left)
    # It gets its name only after it is locked, so that no other process deletes it.
    begun = Path(tempfile.mkdtemp(prefix=f"begun-{PREFIX}"))
    fcntl.flock(os.open(begun, os.O_RDONLY), fcntl.LOCK_EX)
    folder = begun.with_name(begun.name.removeprefix("begun-"))
    begun.rename(folder)
    return str(folder)


class WorkerMetrics(Collector):
    """The metrics of all workers of a web part, added up."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._merged = MultiProcessCollector(None, folder)

    def collect(self) -> list[Metric]:
        """Read the files of the workers."""
        with _locked(self._folder, fcntl.LOCK_SH):
            return list(self._merged.collect())


def keep_counts_of(pid: int, folder: str) -> None:
    """Add the counts of a worker that ended to those of all that ended, and delete its files.

    Its counters must not go back to 0, and a part whose workers end often must not read more and more files.
    If a worker is reading them just now, they stay, and count all the same.
    """
    mark_process_dead(pid, folder)
    try:
        with _locked(Path(folder), fcntl.LOCK_EX | fcntl.LOCK_NB):
            for kind in SUMMED:
                path = Path(folder) / f"{kind}_{pid}.db"
                if path.exists():
                    _merge(path, path.with_name(f"{kind}_{ENDED}.db"))
    except BlockingIOError:
        return


def _merge(path: Path, into: Path) -> None:
    total = MmapedDict(str(into))
    for key, value, timestamp, _ in MmapedDict.read_all_values_from_file(str(path)):
        before, _ = total.read_value(key)
        total.write_value(key, before + value, timestamp)
    total.close()
    path.unlink()


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    with (folder / LOCK).open("a") as file:
        fcntl.flock(file, how)
        yield


def _remove_unless_used(folder: Path) -> None:
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return  # of another user, or not a folder
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(opened)
