"""The folder in which the workers of a web part share their metrics (prometheus_client's multiprocess)."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from prometheus_client import values

PREFIX = "botwatch-metrics-"


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
