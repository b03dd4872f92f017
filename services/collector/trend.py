"""Trends: when a file system will be full, if it goes on as of late. Pure.

The slope is the median of those between any two moments (Theil and Sen): a file that came or went does not
change it. That it falls at all must be sure by Kendall's test, or it is noise.
"""

import math
from collections import deque
from itertools import combinations
from statistics import median

STEP_S = 180.0
"""From one moment that is kept to the next."""
KEPT_S = 3 * 3600.0
"""How far back: far enough that a backup of half an hour is no trend."""
LEAST_S = 1800.0
"""What shorter times show is not to be relied on."""
LONGEST_DAYS = 365.0
"""A file system that lasts longer does not fill."""
SURE = 2.58
"""Standard deviations: by chance alone one of 200 looks like filling."""
_DAY_S = 86_400.0


class Trend:
    """The free space of one file system over the last hours."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()
        self._per_second: float | None = None

    def full_days(self, at: float, free: int) -> float | None:
        """Take what is free at `at` (monotonic seconds); return the days until nothing is."""
        points = self._points
        if not points or at - points[-1][0] >= STEP_S:
            points.append((at, free))
            while at - points[0][0] > KEPT_S:
                points.popleft()
            self._per_second = falling(points) if at - points[0][0] >= LEAST_S else None
        if self._per_second is None:
            return None
        days = free / self._per_second / _DAY_S
        return round(days, 3) if days <= LONGEST_DAYS else None


def falling(points: deque[tuple[float, int]]) -> float | None:
    """Return by how much the values fall in a second; None when they do not, or within noise."""
    count = len(points)
    slopes = sorted(
        (after[1] - before[1]) / (after[0] - before[0]) for before, after in combinations(points, 2)
    )
    deviation = math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    upper = math.ceil((len(slopes) + SURE * deviation) / 2)
    if upper >= len(slopes) or slopes[upper] >= 0:
        return None
    return -median(slopes)
