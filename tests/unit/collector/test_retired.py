"""Checks that the document has no more say so, once."""

from pathlib import Path

from services.collector.probe import Look
from services.collector.retired import retire
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
    assert retire(tmp_path, watched("a", "b")) == {}
    assert retire(tmp_path, watched("b")) == {"a": "tcp"}
    assert retire(tmp_path, watched("b")) == {}


def test_a_check_of_another_type_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    retire(tmp_path, watched("a"))
    (tmp_path / "checks.json").write_text('{"types": {"a": "http"}}')
    assert retire(tmp_path, watched("a")) == {"a": "http"}


def test_a_file_that_cannot_be_read_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "checks.json").write_text("[{")
    assert retire(tmp_path, watched("a")) == {}
    assert retire(tmp_path, []) == {"a": "tcp"}
