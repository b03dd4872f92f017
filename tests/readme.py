"""The examples of the README, as they are printed."""

import re
import subprocess
import sys
from pathlib import Path

from shared.runtime.settings import REPOSITORY

SECTION = "### From Python and TypeScript"
OUTPUT = re.compile(
    r"System Status: (HEALTHY|WARNING|CRITICAL|UNKNOWN)\n"
    r"CPU Usage: ([\d.]+|None|null)\n"
    r"Memory Usage: [\d.]+\n"
    r"Report ID: \S+\n"
    r"Overall Status: (HEALTHY|WARNING|CRITICAL|UNKNOWN)\n"
    r"Recommendations: \["
)
"""What an example prints."""


def example(language: str) -> str:
    """Return the section's example in a language."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    section = text[text.index(SECTION) :]
    [code] = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[:1]
    return str(code)


def run_python_example(folder: Path, **environ: str) -> str:
    """Run the Python example in a folder, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", example("python")],
        env={"PYTHONPATH": ":".join(sys.path), "BOTWATCH_SPOOL": str(folder / "spool"), **environ},
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
