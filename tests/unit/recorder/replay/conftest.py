"""Runs `botwatch replay` on files made by a test."""

import json
from pathlib import Path
from typing import Any

import pytest

from botwatch import cli


class Replayer:
    """Runs the command and returns what it prints."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def file(self, name: str, content: str | bytes) -> Path:
        """Write a file."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def run(self, *arguments: str | Path) -> tuple[int, str, str]:
        """Return the exit code, standard output and standard error."""
        code = cli.main(["replay", *map(str, arguments), "--bot", "b"])
        out, err = self._capsys.readouterr()
        return code, out, err

    def result(self, *arguments: str | Path) -> dict[str, Any]:
        """Return the JSON of a replay that succeeds."""
        code, out, err = self.run(*arguments, "--json", "--trades")
        assert (code, err) == (0, "")
        found: dict[str, Any] = json.loads(out)
        return found

    def faults(self, *arguments: str | Path) -> list[str]:
        """Return the lines on standard error of a replay that fails, without the folder."""
        code, out, err = self.run(*arguments)
        assert (code, out) == (1, "")
        return [line.replace(f"botwatch replay: {self.folder}/", "") for line in err.splitlines()]


@pytest.fixture
def replayer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Replayer:
    return Replayer(tmp_path, capsys)
