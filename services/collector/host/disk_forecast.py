"""Trends: when a file system will be full, if it goes on as of late. Pure.

The slope is the median of those between any two moments (Theil and Sen): a file that came or went does not
change it. That it falls at all must be sure by Kendall's test, or it is noise.
"""

import math
from collections import deque
from itertools import combinations
from statistics import median

SAMPLE_INTERVAL_S = 180.0
"""From one moment that is kept to the next."""
WINDOW_S = 3 * 3600.0
"""How far back: far enough that a backup of half an hour is no trend."""
MIN_WINDOW_S = 1800.0
"""What shorter times show is not to be relied on."""
MAX_DAYS = 365.0
"""A file system that lasts longer does not fill."""
CONFIDENCE_Z = 2.58
"""Standard deviations: by chance alone one of 200 looks like filling."""
_DAY_S = 86_400.0


class DiskForecast:
    """The free space of one file system over the last hours."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()
        self._per_second: float | None = None

    def days_until_full(self, at: float, free: int) -> float | None:
        """Take what is free at `at` (monotonic seconds); return the days until nothing is."""
        points = self._points
        if not points or at - points[-1][0] >= SAMPLE_INTERVAL_S:
            points.append((at, free))
            while at - points[0][0] > WINDOW_S:
                points.popleft()
            self._per_second = decline_rate(points) if at - points[0][0] >= MIN_WINDOW_S else None
        if self._per_second is None:
            return None
        days = free / self._per_second / _DAY_S
        return round(days, 3) if days <= MAX_DAYS else None


def decline_rate(points: deque[tuple[float, int]]) -> float | None:
    """Return by how much the values fall in a second; None when they do not, or within noise."""
    count = len(points)
    slopes = sorted(
        (after[1] - before[1]) / (after[0] - before[0]) for before, after in combinations(points, 2)
    )
    deviation = math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    upper = math.ceil((len(slopes) + CONFIDENCE_Z * deviation) / 2)
    if upper >= len(slopes) or slopes[upper] >= 0:
        return None
    return -median(slopes)
