"""Checks that the document has no more say so, once."""

from pathlib import Path

from services.collector.checks.base import CheckResult
from services.collector.checks.removed_checks import replace_known_checks
from services.collector.checks.scheduler import ScheduledCheck


class Fine:
    """Always well."""

    type = "tcp"

    def look(self, _now: object) -> CheckResult:
        """See that."""
        return CheckResult("ok", "")


def watched(*names: str) -> list[ScheduledCheck]:
    return [ScheduledCheck(name, Fine(), 60, 10) for name in names]  # type: ignore[arg-type]


def test_what_is_no_longer_checked_is_told_once(tmp_path: Path) -> None:
    assert replace_known_checks(tmp_path, watched("a", "b")) == {}
    assert replace_known_checks(tmp_path, watched("b")) == {"a": "tcp"}
    assert replace_known_checks(tmp_path, watched("b")) == {}


def test_a_check_of_another_type_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    replace_known_checks(tmp_path, watched("a"))
    (tmp_path / "checks.json").write_text('{"types": {"a": "http"}}')
    assert replace_known_checks(tmp_path, watched("a")) == {"a": "http"}


def test_a_file_that_cannot_be_read_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "checks.json").write_text("[{")
    assert replace_known_checks(tmp_path, watched("a")) == {}
    assert replace_known_checks(tmp_path, []) == {"a": "tcp"}
