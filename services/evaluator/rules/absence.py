"""Absence: how long a figure, or a kind of record, has not come from a bot or host, whatever its labels."""

import msgspec

from services.evaluator.rules.measure import SingleMetricMeasure

MIN_REFRESH_MS = 60_000
"""How often an open alert's value is updated at first; the longer the silence, the less often."""


class LastArrival(msgspec.Struct, array_like=True):
    """When the latest came, and since when it is waited for; epoch milliseconds."""

    at: int = 0
    stopped_at: int = 0
    """When the bot stopped on purpose; records dated before that do not end it."""
    awaited_since: int = 0
    """Silence before that does not count: nobody waited, or nothing was observed."""

    @property
    def is_awaited(self) -> bool:
        """Whether a further one is due: one came, and the bot did not stop after it."""
        return self.at > self.stopped_at


class Absence(SingleMetricMeasure, frozen=True):
    """Seconds since a figure last came; `limits_ms` are where levels begin, to be looked at then."""

    state = LastArrival
    limits_ms: tuple[int, ...]

    def __str__(self) -> str:
        return f"seconds without {self.metric}"

    def observe(self, state: LastArrival, _metric: str, at: int, _value: float) -> None:
        """Take note that it came."""
        state.at = max(state.at, at)

    def start_waiting(self, state: LastArrival, since: int) -> None:
        """Count silence from `since` on at the earliest."""
        state.awaited_since = max(state.awaited_since, since)

    def observe_stop(self, state: LastArrival, at: int) -> None:
        """Wait no longer, until a record comes that is dated later."""
        state.stopped_at = max(state.stopped_at, at)

    def value(self, state: LastArrival, now: int) -> float | None:
        """Return the silence in seconds; None before it ever came, and after the bot stopped."""
        return max(0, now - self._since(state)) / 1000 if state.is_awaited else None

    def next_change(self, state: LastArrival, now: int) -> int | None:
        """Return when the silence exceeds the next limit, or what an open alert says by an eighth."""
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
