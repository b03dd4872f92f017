"""Absence: how long a metric or a kind of record has not arrived from a bot or host, whatever its labels."""

import msgspec

from shared.rules.measures.measure import SingleMetricMeasure

MIN_REFRESH_MS = 60_000
"""Minimum interval between updates of an open alert's value; grows with the silence."""


class LastArrival(msgspec.Struct, array_like=True):
    """Latest arrival, and since when the next is awaited; epoch milliseconds."""

    at: int = 0
    stopped_at: int = 0
    """When the bot stopped on purpose; records with earlier timestamps do not end that."""
    awaited_since: int = 0
    """Silence before this does not count: nothing was expected, or nothing was observed."""

    @property
    def is_awaited(self) -> bool:
        """Whether another is expected: one arrived, and the bot did not stop after it."""
        return self.at > self.stopped_at


class Absence(SingleMetricMeasure, frozen=True):
    """Seconds since a metric last arrived; `limits_ms` are the thresholds at which to evaluate."""

    state = LastArrival
    limits_ms: tuple[int, ...]

    def __str__(self) -> str:
        return f"seconds without {self.metric}"

    @property
    def lookback_ms(self) -> int:
        """The longest absence that matters."""
        return max(self.limits_ms)

    def observe(self, state: LastArrival, _metric: str, at: int, _value: float) -> None:
        """Record an arrival."""
        state.at = max(state.at, at)

    def start_waiting(self, state: LastArrival, since: int) -> None:
        """Count silence from `since` on at the earliest."""
        state.awaited_since = max(state.awaited_since, since)

    def observe_stop(self, state: LastArrival, at: int) -> None:
        """Expect nothing until a record with a later timestamp arrives."""
        state.stopped_at = max(state.stopped_at, at)

    def value(self, state: LastArrival, now: int) -> float | None:
        """Return the silence, seconds; None before the first arrival and after the bot stopped."""
        return max(0, now - self._since(state)) / 1000 if state.is_awaited else None

    def next_change(self, state: LastArrival, now: int) -> int | None:
        """Return when the silence exceeds the next threshold, or grows by an eighth for an open alert."""
        if not state.is_awaited:
            return None
        since = self._since(state)
        moments = [since + limit + 1 for limit in self.limits_ms]
        silence = now - since
        if silence > min(self.limits_ms):
            step = MIN_REFRESH_MS
            while step * 16 <= silence:
                step *= 2
            moments.append(since + (silence // step + 1) * step)
        return min((moment for moment in moments if moment > now), default=None)

    def _since(self, state: LastArrival) -> int:
        return max(state.at, state.awaited_since)
