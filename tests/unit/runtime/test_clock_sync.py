"""The clock as the kernel tells of it."""

from datetime import UTC, datetime

import pytest

from shared.runtime.clock_sync import ClockSync, decode_timex, read_clock

UNSYNCHRONISED, PLL, NANO = 0x40, 0x01, 0x2000


@pytest.mark.parametrize(
    ("status", "offset", "expected"),
    [
        (UNSYNCHRONISED, 0, ClockSync(synchronised=False, offset_ms=None)),
        (UNSYNCHRONISED | PLL | NANO, 5_000_000, ClockSync(synchronised=False, offset_ms=None)),
        (PLL | NANO, 5_000_000, ClockSync(synchronised=True, offset_ms=-5.0)),
        (PLL, -250, ClockSync(synchronised=True, offset_ms=0.25)),
        (PLL | NANO, 0, ClockSync(synchronised=True, offset_ms=0.0)),
        (NANO, 0, ClockSync(synchronised=True, offset_ms=None)),
    ],
    ids=["nobody keeps it", "no longer kept", "slow, in ns", "fast, in µs", "exact", "kept by chrony"],
)
def test_the_offset_is_how_far_the_clock_is_ahead_where_somebody_tells(
    status: int, offset: int, expected: ClockSync
) -> None:
    assert decode_timex(status, offset) == expected


def test_the_kernel_of_this_machine_answers() -> None:
    found = read_clock()
    assert found.synchronised or found.offset_ms is None
    # Asking must not have set it.
    assert datetime.now(UTC).year > 2024


def test_a_sandbox_that_forbids_the_question_is_an_os_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forbidding:
        """A C library in a sandbox."""

        @staticmethod
        def adjtimex(_state: object) -> int:
            """Fail."""
            return -1

    monkeypatch.setattr("shared.runtime.clock_sync._LIBC", Forbidding)
    with pytest.raises(OSError, match="adjtimex"):
        read_clock()
