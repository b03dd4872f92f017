"""What a check knows over a restart."""

from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from services.collector.checks.saved_state import SavedState, replace_known_checks


class Known(msgspec.Struct):
    """What a test knows."""

    ports: list[int]


def test_what_was_saved_is_there_after_a_restart_and_for_nobody_else(tmp_path: Path) -> None:
    SavedState(Known, "ports", tmp_path / "collector").save(Known([22]))
    assert SavedState(Known, "ports", tmp_path / "collector").load() == Known([22])
    path = tmp_path / "collector" / "ports.json"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [one.name for one in path.parent.iterdir()] == ["ports.json"]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"ports":["x"]}', b"\xff"])
def test_what_cannot_be_read_is_logged_and_forgotten(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "ports.json").write_bytes(data)
    with capture_logs() as lines:
        assert SavedState(Known, "ports", tmp_path).load() is None
    assert [line["log_level"] for line in lines] == ["warning"]


def test_the_first_time_is_no_trouble(tmp_path: Path) -> None:
    with capture_logs() as lines:
        assert SavedState(Known, "ports", tmp_path).load() is None
    assert lines == []


def test_a_disk_that_is_full_is_logged_once_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    state = SavedState(Known, "ports", tmp_path)
    state.save(Known([22]))
    with monkeypatch.context() as patch, capture_logs() as lines:
        patch.setattr(Path, "write_bytes", refuse)
        state.save(Known([23]))
        state.save(Known([24]))
    assert len(lines) == 1
    assert SavedState(Known, "ports", tmp_path).load() == Known([22])
    state.save(Known([24]))
    assert SavedState(Known, "ports", tmp_path).load() == Known([24])


def test_what_has_not_changed_is_not_written_again(tmp_path: Path) -> None:
    state = SavedState(Known, "ports", tmp_path)
    state.save(Known([22]))
    before = (tmp_path / "ports.json").stat().st_ino
    state.save(Known([22]))
    assert (tmp_path / "ports.json").stat().st_ino == before


def test_a_check_that_was_removed_is_reported_once(tmp_path: Path) -> None:
    assert replace_known_checks(tmp_path, {"a": "tcp", "b": "tcp"}) == {}
    assert replace_known_checks(tmp_path, {"b": "tcp"}) == {"a": "tcp"}
    assert replace_known_checks(tmp_path, {"b": "tcp"}) == {}


def test_a_check_of_another_type_is_another_check(tmp_path: Path) -> None:
    replace_known_checks(tmp_path, {"a": "tcp"})
    (tmp_path / "checks.json").write_text('{"types": {"a": "http"}}')
    assert replace_known_checks(tmp_path, {"a": "tcp"}) == {"a": "http"}


def test_an_unreadable_list_of_checks_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "checks.json").write_text("[{")
    assert replace_known_checks(tmp_path, {"a": "tcp"}) == {}
    assert replace_known_checks(tmp_path, {}) == {"a": "tcp"}
