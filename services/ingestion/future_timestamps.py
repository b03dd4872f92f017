"""Timestamps in the future: the warning for the sender, and the event for the bot. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.schema.decoding import ClampedRecord
from shared.schema.durations import format_rough
from shared.schema.faults import MAX_FAULTS, Fault
from shared.schema.records import AnyRecord, BotRecord, Event
from shared.schema.timestamps import to_wire

INTERVAL = timedelta(hours=1)
"""Minimum time between two such events of a bot."""
MAX_REMEMBERED = 10_000
TITLE = "Timestamps in the future"


def future_warnings(clamped: Sequence[ClampedRecord]) -> list[Fault]:
    """Return a warning for each record whose timestamp was replaced, at most `MAX_FAULTS`."""
    return [Fault(f"{record.path}.timestamp", _describe(record)) for record in clamped[:MAX_FAULTS]]


class FutureEvents:
    """Create a `warning` event for a bot with timestamps in the future, at most one per `INTERVAL`."""

    def __init__(self) -> None:
        self._last: dict[str, datetime] = {}

    def due_events(self, clamped: Sequence[ClampedRecord], now: datetime) -> list[AnyRecord]:
        """Return the events to append to the log with the records, with the timestamp `now`."""
        events: list[AnyRecord] = []
        for found in clamped:
            if isinstance(found.record, BotRecord) and self._is_due(found.record.bot, now):
                text = f"{found.record.kind}: {_describe(found)}."
                events.append(
                    Event(bot=found.record.bot, timestamp=now, level="warning", title=TITLE, text=text)
                )
        return events

    def _is_due(self, bot: str, now: datetime) -> bool:
        last = self._last.pop(bot, None)
        is_due = last is None or now - last >= INTERVAL
        if len(self._last) >= MAX_REMEMBERED:
            del self._last[next(iter(self._last))]
        self._last[bot] = now if is_due or last is None else last
        return is_due


def _describe(clamped: ClampedRecord) -> str:
    ahead = format_rough((clamped.moment - clamped.record.at).total_seconds())
    return (
        f"{to_wire(clamped.moment)} is {ahead} in the future; arrival time used. "
        "Check the sender's clock and time zone"
    )
