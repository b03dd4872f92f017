"""Checks that the document has no more say so, once."""

from pathlib import Path

import pytest

from services.collector.probe import Look
from services.collector.retired import Known, retire
from services.collector.rounds import Watched


class Fine:
    """Always well."""

    type = "tcp"

    def look(self, _now: object) -> Look:
        """See that."""
        return Look("ok", "")


def watched(*names: str) -> list[Watched]:
    return [Watched(name, Fine(), 60, 10) for name in names]  # type: ignore[arg-type]


def test_what_is_no_longer_checked_is_told_once(tmp_path: Path) -> None:
    file = tmp_path / "spool" / "checks.json"
    assert retire(file, watched("a", "b")) == []
    assert retire(file, watched("b")) == [Known("a", "tcp")]
    assert retire(file, watched("b")) == []


@pytest.mark.parametrize("text", ["", "[{", '[{"name": 1}]'])
def test_a_file_that_cannot_be_read_is_written_anew(tmp_path: Path, text: str) -> None:
    file = tmp_path / "checks.json"
    file.write_text(text)
    assert retire(file, watched("a")) == []
    assert retire(file, []) == [Known("a", "tcp")]


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file is in the way")
    assert retire(tmp_path / "spool" / "checks.json", watched("a")) == []
