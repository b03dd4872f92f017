"""Records dated in the future: what their sender is told, and the event that marks them. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.schema.decoding import ClampedRecord
from shared.schema.durations import format_rough
from shared.schema.faults import MAX_FAULTS, Fault
from shared.schema.records import AnyRecord, BotRecord, Event
from shared.schema.timestamps import to_wire

INTERVAL = timedelta(hours=1)
"""At most one event a bot in that time."""
MAX_REMEMBERED = 10_000
TITLE = "Timestamps in the future"


def future_warnings(clamped: Sequence[ClampedRecord]) -> list[Fault]:
    """Return a warning for each record whose timestamp was replaced, at most `MOST`."""
    return [Fault(f"{one.path}.timestamp", _describe(one)) for one in clamped[:MAX_FAULTS]]


class FutureEvents:
    """Makes an event of a bot's records that are dated in the future, from time to time."""

    def __init__(self) -> None:
        self._last: dict[str, datetime] = {}

    def due_events(self, clamped: Sequence[ClampedRecord], now: datetime) -> list[AnyRecord]:
        """Return the events to be logged with the records, of `now`."""
        events: list[AnyRecord] = []
        for one in clamped:
            if isinstance(one.record, BotRecord) and self._is_due(one.record.bot, now):
                text = f"{one.record.kind}: {_describe(one)}."
                events.append(
                    Event(bot=one.record.bot, timestamp=now, level="warning", title=TITLE, text=text)
                )
        return events

    def _is_due(self, bot: str, now: datetime) -> bool:
        last = self._last.pop(bot, None)
        is_due = last is None or now - last >= INTERVAL
        if len(self._last) >= MAX_REMEMBERED:
            del self._last[next(iter(self._last))]
        self._last[bot] = now if is_due or last is None else last
        return is_due


def _describe(one: ClampedRecord) -> str:
    ahead = format_rough((one.moment - one.record.at).total_seconds())
    return (
        f"{to_wire(one.moment)} is {ahead} in the future; arrival time used. "
        "Check the sender's clock and time zone"
    )
