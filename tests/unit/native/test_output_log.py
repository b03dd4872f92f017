"""The output log has every line of every part once, in files of bounded size."""

from pathlib import Path

import pytest

from services.native import output_log
from services.native.output_log import NAME, Lines, OutputLog
from tests.support import wait_until


def lines(logs: Path) -> list[str]:
    return (logs / NAME).read_text().splitlines()


def test_lines_of_all_parts_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what was rotated away, and what a part wrote last; but not what an earlier run wrote."""
    monkeypatch.setattr(output_log, "INTERVAL_S", 0.01)
    recorder, late = tmp_path / "recorder.log", tmp_path / "late.log"
    recorder.write_text("of an earlier run\n")
    with OutputLog(tmp_path, str):
        with recorder.open("a") as file:
            file.write("first\n")
        wait_until(lambda: "[recorder] first" in lines(tmp_path), "the line is copied")
        recorder.rename(tmp_path / "recorder.log.1")
        recorder.write_text("after the rotation\n")
        late.write_text("a part that started late\nhalf a li")
        wait_until(lambda: "[late] a part that started late" in lines(tmp_path), "the new file is found")
        with late.open("a") as file:
            file.write("ne\n")
    assert sorted(lines(tmp_path)) == [
        "[late] a part that started late",
        "[late] half a line",
        "[recorder] after the rotation",
        "[recorder] first",
    ]


def test_the_file_is_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit a new one begins, under the names that the job `log-archive` takes."""
    monkeypatch.setattr(output_log, "MAX_BYTES", 100)
    with OutputLog(tmp_path, str) as output:
        for number in range(20):
            output.write("part", f"line {number}")
    assert (tmp_path / f"{NAME}.1").exists()
    assert lines(tmp_path)[-1] == "[part] line 19"


def test_statistics_are_written_regularly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are what `grep performance` finds."""
    monkeypatch.setattr(output_log, "INTERVAL_S", 0.01)
    monkeypatch.setattr(output_log, "STATISTICS_EVERY", 2)
    with OutputLog(tmp_path, lambda: "performance: 1 process"):
        wait_until(lambda: "[monitoring] performance: 1 process" in lines(tmp_path), "there is a line")


def test_text_becomes_lines() -> None:
    """Printed pieces are put together."""
    found: list[str] = []
    stream = Lines(found.append)
    print("a", "b", file=stream)
    stream.write("c\nd")
    assert found == ["a b", "c"]
