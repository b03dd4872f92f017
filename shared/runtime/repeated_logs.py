"""Log what recurs with every request once in a while, with how often it recurred: the log stays readable."""

import time
from collections.abc import Callable

LOG_EVERY_S = 10.0


class RepeatedLog:
    """Says when the same line may be logged again; each place that logs has one."""

    def __init__(self, every_s: float = LOG_EVERY_S, now_s: Callable[[], float] = time.monotonic) -> None:
        self._every_s = every_s
        self._now_s = now_s
        self._logged_at: float | None = None
        self._left_out = 0

    def count(self) -> int | None:
        """Count one more; return how many were left out before it, or None if this one is to be left out."""
        now = self._now_s()
        if self._logged_at is not None and now - self._logged_at < self._every_s:
            self._left_out += 1
            return None
        left_out, self._left_out, self._logged_at = self._left_out, 0, now
        return left_out
