"""Reading on in a file that grows, is rotated, emptied, replaced, and comes late."""

from pathlib import Path

import pytest

from services.collector.checks.security import log_tail
from services.collector.checks.security.log_tail import BEGINNING, FilePosition, read_new


class Log:
    """A log file and how far it was read."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "auth.log"
        self.position: FilePosition | None = None
        self.skipped = False

    def write(self, text: str) -> None:
        """Append."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)

    def read(self, record: int | None = None) -> str:
        """Read on."""
        data, self.position, self.skipped = read_new(self.path, self.position, record)
        return data.decode()


@pytest.fixture
def log(tmp_path: Path) -> Log:
    made = Log(tmp_path)
    made.write("old\n")
    assert made.read() == ""
    return made


def test_only_what_is_new_is_read(log: Log) -> None:
    log.write("one\n")
    assert (log.read(), log.read()) == ("one\n", "")


def test_a_line_is_read_when_it_is_whole(log: Log) -> None:
    log.write("one\ntw")
    assert log.read() == "one\n"
    log.write("o\n")
    assert log.read() == "two\n"


def test_after_a_rotation_the_rest_of_the_old_file_comes_first(log: Log) -> None:
    log.write("last\n")
    log.path.rename(log.path.with_name("auth.log.1"))
    log.write("first\n")
    assert (log.read(), log.read()) == ("last\nfirst\n", "")


def test_a_rotation_with_a_date_is_one(log: Log) -> None:
    log.write("last\n")
    log.path.rename(log.path.with_name("auth.log-20261122"))
    log.write("first\n")
    assert log.read() == "last\nfirst\n"


def test_an_old_file_that_is_packed_already_costs_only_its_rest(log: Log) -> None:
    log.write("lost\n")
    log.path.rename(log.path.with_name("elsewhere"))
    log.write("first\n")
    assert log.read() == "first\n"


def test_a_file_that_was_emptied_is_read_from_its_beginning(log: Log) -> None:
    log.write("one\n")
    log.read()
    log.path.write_text("")
    assert log.read() == ""
    log.write("new\n")
    assert log.read() == "new\n"


def test_a_truncated_log_is_read_from_its_beginning(log: Log) -> None:
    log.path.write_text("a longer line than before\nand another\n")
    assert log.read() == "a longer line than before\nand another\n"


def test_a_file_that_was_copied_and_emptied_is_not_read_twice(log: Log) -> None:
    log.write("one\n")
    log.read()
    log.path.with_name("auth.log.1").write_bytes(log.path.read_bytes())
    log.path.write_text("")
    log.write("two\n")
    assert log.read() == "two\n"


def test_a_file_that_comes_later_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.position = BEGINNING
    log.write("first\n")
    assert log.read() == "first\n"


def test_of_a_burst_the_newest_whole_lines_are_read(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_tail, "MAX_BYTES", 100)
    log.write("".join(f"line {n:03d}\n" for n in range(100)))
    lines = log.read().splitlines()
    assert (len(lines), lines[0], lines[-1], log.skipped) == (11, "line 089", "line 099", True)
    assert log.read() == ""


def test_ten_megabytes_are_read_no_further_than_the_bound(log: Log) -> None:
    log.write("0123456789abcde\n" * 700_000)
    assert log_tail.MAX_BYTES - 16 <= len(log.read()) <= log_tail.MAX_BYTES
    assert log.skipped


def test_a_line_without_an_end_is_not_waited_for(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_tail, "MAX_BYTES", 100)
    log.write("x" * 500)
    log.read()
    log.write("y\nnext\n")
    assert log.read().endswith("next\n")


def test_records_are_read_whole(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write("aaaabb")
    assert log.read(record=4) == ""
    log.write("bbccccd")
    assert log.read(record=4) == "bbbbcccc"


def test_of_a_burst_of_records_whole_ones_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_tail, "MAX_BYTES", 10)
    log = Log(tmp_path)
    log.position = BEGINNING
    log.write("aaaabbbbccccdddd")
    assert (log.read(record=4), log.skipped) == ("ccccdddd", True)
