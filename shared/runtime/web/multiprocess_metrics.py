"""The folder in which the workers of a web part add up their metrics, as prometheus_client has it."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "botwatch-metrics-"


def create_multiprocess_dir() -> str:
    """Return a new folder, and remove those that killed masters left behind.

    A folder is locked for as long as its master or one of the workers lives.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        _remove_unless_used(left)
    # Nobody removes it before it is locked: it has its name only then.
    begun = Path(tempfile.mkdtemp(prefix=f"begun-{PREFIX}"))
    fcntl.flock(os.open(begun, os.O_RDONLY), fcntl.LOCK_EX)
    folder = begun.with_name(begun.name.removeprefix("begun-"))
    begun.rename(folder)
    return str(folder)


def _remove_unless_used(folder: Path) -> None:
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return  # another user's, or no folder of ours
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(opened)
