"""The strategy: always in the market, long while the fast average of closes is above the slow one. Pure."""

from collections import deque
from typing import Literal

Direction = Literal[1, -1]
"""Long or short."""


class SmaReversal:
    """Reverses when the simple moving averages of the last `fast` and `slow` closes cross."""

    def __init__(self, fast: int = 10, slow: int = 30) -> None:
        self._fast = fast
        self._closes: deque[float] = deque(maxlen=slow)
        self._gap: float | None = None

    def on_close(self, close: float) -> Direction | None:
        """Take one more close and return the direction to turn to, None to stay.

        The averages cross when the gap between them changes its sign from one close to the next; a gap of
        exactly zero is neither.
        """
        self._closes.append(close)
        if len(self._closes) < (self._closes.maxlen or 0):
            return None
        closes = list(self._closes)
        before, gap = self._gap, _mean(closes[-self._fast :]) - _mean(closes)
        self._gap = gap
        if before is None or before * gap >= 0:
            return None
        return 1 if gap > 0 else -1


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
