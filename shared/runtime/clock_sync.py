"""The clock: whether NTP keeps it, and how far it is off, as the kernel knows it (adjtimex, see man 2)."""

import ctypes
import os
from typing import NamedTuple

_LIBC = ctypes.CDLL(None, use_errno=True)
_PLL = 0x0001
_UNSYNCHRONISED = 0x0040
_NANOSECONDS = 0x2000


class ClockSync(NamedTuple):
    """How the clock is kept."""

    synchronised: bool
    offset_ms: float | None
    """How far it is ahead of NTP's time; None if the kernel does not know."""


class _Timex(ctypes.Structure):
    """The kernel's `struct timex`; we read three of its fields."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "frequency", "most_error", "estimated_error")),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    ]


def read_clock() -> ClockSync:
    """Read the kernel's clock state. Raises OSError if a sandbox forbids it."""
    state = _Timex()
    if _LIBC.adjtimex(ctypes.byref(state)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "adjtimex")
    return decode_timex(state.status, state.offset)


def decode_timex(status: int, offset: int) -> ClockSync:
    """Read the kernel's answer.

    Its offset is what the clock still has to gain, and only of a daemon that lets the kernel discipline the
    clock (ntpd, systemd-timesyncd). chrony does it by itself: there 0 would mean "unknown".
    """
    if status & _UNSYNCHRONISED:
        return ClockSync(synchronised=False, offset_ms=None)
    if not status & _PLL and not offset:
        return ClockSync(synchronised=True, offset_ms=None)
    per_ms = 1_000_000 if status & _NANOSECONDS else 1_000
    return ClockSync(synchronised=True, offset_ms=round(-offset / per_ms, 6))
