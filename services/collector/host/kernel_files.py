"""Kernel files that psutil does not read: pressure, OOM kills, ZFS's cache, open files, temperatures.

Temperatures are read here because psutil reads them, and the names and limits of sensors, from this machine's
own /sys only and searches for them each time.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import structlog

log = structlog.get_logger()

MIN_INTERVAL_S = 0.9
"""Rates over less time are noise, most of all while the host starts."""
SYS = Path("/sys")
"""The machine's own in containers, too."""
MAX_PLAUSIBLE_CELSIUS = 150.0
"""A sensor above it, or not above 0 °C, is not connected."""
_SENSORS = ("class/hwmon/hwmon*/temp*_input", "class/thermal/thermal_zone*/temp")

T = TypeVar("T")


class KernelFiles:
    """Reads and parses files, and logs once for each that cannot be read: kernels and containers differ."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def read(self, file: Path, parse: Callable[[str], T]) -> T | None:
        """Return the parsed file; None if it is missing or invalid.

        Bytes that are not UTF-8 become surrogates, so that paths in it can be opened.
        """
        try:
            with file.open("rb", buffering=0) as opened:
                return parse(opened.read().decode(errors="surrogateescape"))
        except (OSError, ValueError, LookupError) as error:
            self.log_unreadable(str(file), error)
            return None

    def log_unreadable(self, what: str, error: Exception) -> None:
        """Log once that `what` cannot be read."""
        if what not in self._logged:
            self._logged.add(what)
            log.warning("cannot read host data", what=what, error=repr(error))


class CounterDelta(NamedTuple, Generic[T]):
    """Two readings of the same counters, and the time between them."""

    before: T
    after: T
    seconds: float


class Meter(Generic[T]):
    """Counters, and their change since the previous reading."""

    def __init__(self, read: Callable[[], T | None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._monotonic = monotonic
        self.last: T | None = None
        self._at = float("-inf")

    def delta(self) -> CounterDelta[T] | None:
        """Read again and return both readings; None at first, too soon, or if one failed."""
        now = self._monotonic()
        seconds = now - self._at
        if seconds < MIN_INTERVAL_S:
            return None
        before, after = self.last, self._read()
        self.last, self._at = after, now
        return None if before is None or after is None else CounterDelta(before, after, seconds)


class PressureTotals(NamedTuple):
    """Microseconds since boot in which some work, or all work, was stalled."""

    some: int
    full: int


def parse_pressure(text: str) -> PressureTotals:
    """Parse a file of /proc/pressure (since kernel 4.20); before 5.13 `cpu` has no line `full`."""
    totals = {}
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        totals[name] = int(rest.rpartition("total=")[2])
    return PressureTotals(totals["some"], totals.get("full", 0))


def stalled_percent(before: int, after: int, seconds: float) -> float | None:
    """Return percent of `seconds`; None if the total decreased."""
    if after < before:
        return None
    return round(min((after - before) / (seconds * 10_000), 100.0), 2)


def parse_arc(text: str) -> int:
    """Return how many bytes of its cache (ARC) ZFS gives back when programs need them, from its kstats.

    The kernel counts the ARC as used: it is not part of the page cache.
    """
    sizes = {words[0]: int(words[2]) for words in map(str.split, text.splitlines()[2:]) if words}
    return max(sizes["size"] - sizes["c_min"], 0)


def parse_oom_kills(text: str) -> int:
    """Return the OOM kills in /proc/vmstat (since kernel 4.13) or in the events of a control group."""
    _, found, rest = f"\n{text}".partition("\noom_kill ")
    if not found:
        raise LookupError("this kernel does not count OOM kills")
    return int(rest.split(maxsplit=1)[0])


def parse_file_nr(text: str) -> float:
    """Return percent of the system's file descriptors in use, from /proc/sys/fs/file-nr."""
    used, free, most = map(int, text.split())
    return round(100 * (used - free) / most, 2)


def find_sensors(sys: Path = SYS) -> list[Path]:
    """Return the files of the temperature sensors: those of hwmon, else the thermal zones; VMs have none."""
    return next((found for pattern in _SENSORS if (found := sorted(sys.glob(pattern)))), [])


def max_temperature(sensors: Iterable[Path]) -> float | None:
    """Return the temperature of the hottest sensor, °C, without those that sleep or are not connected."""
    return max(
        (found for one in sensors if 0 < (found := _celsius(one)) < MAX_PLAUSIBLE_CELSIUS), default=None
    )


def _celsius(sensor: Path) -> float:
    try:
        return int(sensor.read_text()) / 1000
    except (OSError, ValueError):
        # A sleeping disk or a card that is off has no temperature now, and may have one later.
        return 0.0
