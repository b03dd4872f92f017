"""How long `botwatch up` waits for its parts: as long as they come up, however slow the machine."""

import pytest

from botwatch.up import STALLED_AFTER_S, STARTUP_CPU_S, StartupProgress

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
