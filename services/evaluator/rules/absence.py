"""Absence: how long a figure, or a kind of record, has not come from a bot or host, whatever its labels."""

import msgspec

from services.evaluator.rules.measure import OneFigure

SHORTEST_STEP_MS = 60_000
"""How often an open alert's value is updated at first; the longer the silence, the less often."""


class Seen(msgspec.Struct, array_like=True):
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


class Absence(OneFigure, frozen=True):
    """Seconds since a figure last came; `limits_ms` are where levels begin, to be looked at then."""

    state = Seen
    limits_ms: tuple[int, ...]

    def __str__(self) -> str:
        return f"seconds without {self.metric}"

    def take(self, state: Seen, _metric: str, at: int, _value: float) -> None:
        """Take note that it came."""
        state.at = max(state.at, at)

    def wait(self, state: Seen, since: int) -> None:
        """Count silence from `since` on at the earliest."""
        state.awaited_since = max(state.awaited_since, since)

    def stop(self, state: Seen, at: int) -> None:
        """Wait no longer, until a record comes that is dated later."""
        state.stopped_at = max(state.stopped_at, at)

    def value(self, state: Seen, now: int) -> float | None:
        """Return the silence in seconds; None before it ever came, and after the bot stopped."""
        return max(0, now - self._since(state)) / 1000 if state.is_awaited else None

    def next_change(self, state: Seen, now: int) -> int | None:
        """Return when the silence exceeds the next limit, or what an open alert says by an eighth."""
        if not state.is_awaited:
            return None
        since = self._since(state)
        moments = [since + limit + 1 for limit in self.limits_ms]
        silence = now - since
        if silence > min(self.limits_ms):
            step = SHORTEST_STEP_MS
            while step * 16 <= silence:
                step *= 2
            moments.append(since + (silence // step + 1) * step)
        return min((moment for moment in moments if moment > now), default=None)

    def _since(self, state: Seen) -> int:
        return max(state.at, state.awaited_since)
