"""Timestamps: UTC ISO-8601 with `Z` on the wire, `YYYY-MM-DD HH:MM:SS.SSS` in the store."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_STORED_LENGTH = len("2026-01-31 12:00:00.000")
LATEST = datetime(2100, 1, 1, tzinfo=UTC)


def from_wire(moment: datetime | int) -> datetime:
    """Return `moment` (zoned datetime, or epoch milliseconds) in UTC; ValueError outside 2000 to 2099.

    These bounds catch epoch seconds and microseconds sent as milliseconds.
    """
    if isinstance(moment, int):
        if not 946_684_800_000 <= moment < 4_102_444_800_000:  # noqa: PLR2004 - EARLIEST and LATEST
            hint = "; these look like seconds" if 946_684_800 <= moment < 4_102_444_800 else ""  # noqa: PLR2004
            raise ValueError(f"expected epoch milliseconds of the years 2000 to 2099, got {moment}{hint}")
        return from_epoch_ms(moment)
    # Compared before it is converted: at the calendar's ends the conversion overflows.
    if not EARLIEST <= moment < LATEST:
        raise ValueError(f"expected a time in the years 2000 to 2099, got {moment.isoformat()}")
    return moment.astimezone(UTC)


def to_wire(moment: datetime) -> str:
    """Format as `2026-01-31T12:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def to_store(moment: datetime) -> str:
    """Format a UTC time as `2026-01-31 12:00:00.000`, which compares correctly with SQLite's `datetime()`."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(" ", "milliseconds")[:_STORED_LENGTH]


def from_store(text: str) -> datetime:
    """Parse what `to_store` wrote."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def from_epoch_ms(milliseconds: int) -> datetime:
    """Return the time that is `milliseconds` after 1970-01-01 UTC."""
    return EPOCH + milliseconds * MILLISECOND


def epoch_ms(moment: datetime) -> int:
    """Return whole milliseconds since 1970-01-01 UTC."""
    return (moment - EPOCH) // MILLISECOND
