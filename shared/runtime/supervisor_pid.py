"""Whether Botwatch runs natively: supervisor leaves its process ID in the home."""

from pathlib import Path

import psutil

SUPERVISOR_PID = Path("run", "supervisord.pid")


def running_supervisor(home: Path) -> psutil.Process | None:
    """Return the process of the supervisor that runs in `home`, or None."""
    try:
        process = psutil.Process(int((home / SUPERVISOR_PID).read_text()))
        is_supervisor = any("supervisord" in word for word in process.cmdline())
    except (OSError, ValueError, psutil.Error):  # a home that cannot be used is reported by its folders
        return None
    return process if is_supervisor else None
