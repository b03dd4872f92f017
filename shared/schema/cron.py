"""Cron expressions by the clocks of a time zone. Pure; moments go in and come out in UTC.

What is at a fixed time in the hour that is left out in spring is after it, and in the hour that comes twice
in autumn it is once, the first time; what repeats within an hour or every hour is in both. So Debian's cron
has it.
"""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from shared.schema.timestamps import EARLIEST, MILLISECOND


def validate_cron(cron: str) -> None:
    """Raise ValueError unless `cron` is an expression that comes true some day."""
    try:
        next(CronSim(cron, EARLIEST))
    except StopIteration:
        raise ValueError("cron expression never matches") from None
    except CronSimError as error:
        raise ValueError(str(error)) from error


@lru_cache(1024)
def next_moment(cron: str, zone: ZoneInfo, after: datetime) -> datetime:
    """Return the first moment after `after`."""
    # Within the hour that comes twice CronSim finds what was in its first pass.
    found = (start.astimezone(UTC) for start in CronSim(cron, after.astimezone(zone)))
    return next(start for start in found if start > after)


def last_moment(cron: str, zone: ZoneInfo, at: datetime) -> datetime | None:
    """Return the last moment at or before `at`, None where there is none within 50 years."""
    # In UTC: adding to a local time would go back to the first pass of an hour that comes twice.
    latest = next(CronSim(cron, (at + MILLISECOND).astimezone(zone), reverse=True), None)
    if latest is None:
        return None
    last = latest.astimezone(UTC)
    # In the second pass CronSim does not find what was in the first.
    while (following := next_moment(cron, zone, last)) <= at:
        last = following
    return last
