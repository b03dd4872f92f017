"""How long `botwatch up` waits for its parts: as long as they come up, however slow the machine."""

from pathlib import Path

import pytest

from botwatch import up as module
from botwatch.up import STALLED_AFTER_S, STARTUP_CPU_S, NativeStack, StartupProgress
from tests.support import free_port

LATE = STALLED_AFTER_S + 1


@pytest.mark.parametrize(
    ("missing", "cpu_s", "now_s", "stalled"),
    [
        (9, 0.0, STALLED_AFTER_S, False),
        (9, 0.0, LATE, True),
        (9, 20.0, LATE, False),
        (9, 55.0, 200, False),
        (9, STARTUP_CPU_S, LATE, True),
        (8, 0.0, LATE, False),
    ],
)
def test_a_start_has_failed_only_when_nothing_moves(
    missing: int, cpu_s: float, now_s: float, stalled: bool
) -> None:
    """A busy machine takes minutes; parts that wait or crash without end are given up."""
    start = StartupProgress(0)
    assert not start.has_stalled(9, 0.0, 0)
    assert start.has_stalled(missing, cpu_s, now_s) is stalled


def test_it_says_now_and_then_what_it_waits_for() -> None:
    """Nobody looks at a silent terminal for minutes."""
    start = StartupProgress(0)
    assert [second for second in range(30) if start.is_progress_due(second)] == [10, 20]


def test_a_migration_takes_as_long_as_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that was ended half way would begin again at each start, and never be done."""
    monkeypatch.setattr(module, "PROGRESS_INTERVAL_S", 0.01)
    ports = ("INGESTION_PORT", "DASHBOARD_PORT", "WEBSOCKET_PORT", "REDIS_PORT")
    environ = {name: str(free_port()) for name in ports}
    NativeStack({**environ, "BOTWATCH_HOME": str(tmp_path)}, demo=False).prepare()
    assert "Bringing the databases up to date …" in capsys.readouterr().out
    assert (tmp_path / "data" / "monitoring" / "system_health.db").stat().st_size > 0
