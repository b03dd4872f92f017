"""Conflicts: reports records that reuse the ID of another record with different content. Pure."""

from datetime import datetime

import structlog

from shared.schema.records import AnyRecord, BotRecord, Event, Fill

log = structlog.get_logger()

INTERVAL_S = 3600.0
"""Minimum interval between events of one bot, seconds."""
CONFLICT_TITLE = "Duplicate record IDs"


class ConflictReporter:
    """Counts conflicting records by bot, and turns them into events now and then."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._examples: dict[str, AnyRecord] = {}
        self._last_event: dict[str, float] = {}

    def add(self, record: AnyRecord) -> None:
        """Count a record; those of hosts are only logged."""
        if not isinstance(record, BotRecord):
            log.warning("record ID reused with different content", host=record.subject, id=record.id)
            return
        self._counts[record.bot] = self._counts.get(record.bot, 0) + 1
        self._examples[record.bot] = record

    def due_events(self, now_s: float, now: datetime) -> list[Event]:
        """Return and remove the events due at `now` (`now_s` on a monotonic clock)."""
        bots = [bot for bot in self._counts if now_s - self._last_event.get(bot, -INTERVAL_S) >= INTERVAL_S]
        events = []
        for bot in bots:
            self._last_event[bot] = now_s
            count, example = self._counts.pop(bot), self._examples.pop(bot)
            text = (
                f"{count} {'record reuses' if count == 1 else 'records reuse'} an ID with different content; "
                f"latest: {_describe_record(example)}. They are stored as new records, except fills that "
                "differ only in their fee. Send a unique ID with each record and fill."
            )
            log.warning(
                "record IDs reused with different content",
                bot=bot,
                count=count,
                latest=_describe_record(example),
            )
            events.append(Event(bot=bot, timestamp=now, level="warning", title=CONFLICT_TITLE, text=text))
        return events


def _describe_record(record: AnyRecord) -> str:
    if isinstance(record, Fill):
        return f"fill {record.fill_id} of order {record.order_id} ({record.symbol})"
    return f"{record.kind} record with ID {record.id}"
