"""Install locked packages into the current virtual environment, and show the progress.

`python deploy/install.py [--no-deps] LOCK...`: pip's own output is shown only where it fails.
"""

import re
import subprocess
import sys
import sysconfig
import time
from collections import deque
from pathlib import Path

PIP = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-color"]
PINNED = re.compile(r"^[A-Za-z0-9]", re.MULTILINE)
STARTED = re.compile(r"^\s*(?:Collecting|Requirement already satisfied:) (\S+?)(?:[=<>\[; ]|$)")
LAST_LINES = 20
"""Of pip's output, shown when it fails."""


def main(arguments: list[str]) -> int:
    """Install every lock file named, one after the other; return pip's exit code."""
    options = [one for one in arguments if one.startswith("--")]
    begun, before = time.monotonic(), _size_mb()
    for lock in (Path(one) for one in arguments if not one.startswith("--")):
        if code := _install(lock, options):
            return code
    print(f"  done in {time.monotonic() - begun:.0f} s, {_size_mb() - before:.0f} MB on disk", flush=True)
    return 0


def _install(lock: Path, options: list[str]) -> int:
    total = len(PINNED.findall(lock.read_text(encoding="utf-8")))
    command = [*PIP, "--require-hashes", *options, "-r", str(lock)]
    last: deque[str] = deque(maxlen=LAST_LINES)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        assert pip.stdout is not None  # noqa: S101 - as asked for
        seen = 0
        for line in pip.stdout:
            last.append(line)
            if found := STARTED.match(line):
                seen = min(seen + 1, total)
                _show_progress(f"{lock.stem}: downloading {seen} of {total}: {found[1]}", seen, total)
            elif line.startswith("Installing collected packages"):
                _show_progress(f"{lock.stem}: installing {total} packages", total, total)
    if sys.stdout.isatty():
        print()
    if pip.returncode:
        sys.stderr.write("".join(last))
    return pip.returncode


def _show_progress(text: str, seen: int, total: int) -> None:
    """Update a progress line on a terminal; elsewhere print one now and then."""
    if sys.stdout.isatty():
        print(f"\r\x1b[K  {text[:100]}", end="", flush=True)
    elif seen in (1, total) or seen % 20 == 0:
        print(f"  {text}", flush=True)


def _size_mb() -> float:
    """Return the size of the environment's packages on disk, in MB."""
    packages = Path(sysconfig.get_path("purelib"))
    return sum(path.stat().st_size for path in packages.rglob("*") if path.is_file()) / 1e6


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
