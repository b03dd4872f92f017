"""The folder of reports: a file per report and format, below `results` in the home."""

import os
import re
from pathlib import Path

FOLDER = Path("results", "reports")
"""Below BOTWATCH_HOME."""
FILE_FORMATS = ("json", "html", "pdf")
_ID = re.compile(r"[a-z]+-[0-9]{8}-[0-9a-f]{8}")


def report_path(home: Path, report_id: str, form: str) -> Path | None:
    """Return the file of a report; None if the ID is none: it comes from a URL."""
    if not _ID.fullmatch(report_id) or form not in FILE_FORMATS:
        return None
    return home / FOLDER / f"{report_id}.{form}"


def read_report_file(home: Path, report_id: str, form: str) -> bytes | None:
    """Return a report's file; None if there is none. Raises OSError if it cannot be read."""
    path = report_path(home, report_id, form)
    try:
        return path.read_bytes() if path else None
    except FileNotFoundError:
        return None


def write_report_file(home: Path, report_id: str, form: str, content: bytes) -> None:
    """Write a report's file, whole or not at all. Raises OSError, such as for a full disk."""
    path = report_path(home, report_id, form)
    if path is None:
        raise ValueError(f"expected the ID of a report, got {report_id!r}")
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def delete_report_files(home: Path, report_id: str) -> int:
    """Delete a report's files; return their number."""
    paths = [path for form in FILE_FORMATS if (path := report_path(home, report_id, form))]
    found = [path for path in paths if path.exists()]
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


def stored_report_ids(home: Path) -> set[str]:
    """Return the IDs of the reports that have files."""
    folder = home / FOLDER
    names = [path.name.partition(".")[0] for path in folder.iterdir()] if folder.is_dir() else []
    return {name for name in names if _ID.fullmatch(name)}
