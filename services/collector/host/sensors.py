"""Sensors of temperature: those of hwmon, else the thermal zones. Virtual machines have none."""

from collections.abc import Iterable
from pathlib import Path

SYS = Path("/sys")
"""Is the machine's own in containers, too."""
MAX_PLAUSIBLE_CELSIUS = 150.0
"""A sensor that shows more, or not more than 0 °C, is not connected."""
_PATTERNS = ("class/hwmon/hwmon*/temp*_input", "class/thermal/thermal_zone*/temp")


def find_sensors(sys: Path = SYS) -> list[Path]:
    """Return the files of the sensors, in thousandths of a degree Celsius."""
    return next((found for pattern in _PATTERNS if (found := sorted(sys.glob(pattern)))), [])


def max_temperature(sensors: Iterable[Path]) -> float | None:
    """Return the temperature of the hottest sensor, °C; those that sleep or make no sense are passed over."""
    return max(
        (found for one in sensors if 0 < (found := _celsius(one)) < MAX_PLAUSIBLE_CELSIUS), default=None
    )


def _celsius(sensor: Path) -> float:
    try:
        return int(sensor.read_text()) / 1000
    except (OSError, ValueError):
        # A disk that sleeps or a card that is switched off has no temperature now, and may have one later.
        return 0.0
