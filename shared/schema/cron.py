"""Cron expressions in a time zone. Pure; arguments and results are in UTC.

When clocks change, as in Debian's cron: a fixed time in the skipped hour in spring is run after it; one in
the repeated hour in autumn is run once, the first time; schedules that repeat within an hour or every hour
run in both.
"""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from shared.schema.timestamps import EARLIEST, MILLISECOND


def validate_cron(cron: str) -> None:
    """Raise ValueError unless `cron` is a valid expression that matches some time."""
    try:
        next(CronSim(cron, EARLIEST))
    except StopIteration:
        raise ValueError("cron expression never matches") from None
    except CronSimError as error:
        raise ValueError(str(error)) from error


@lru_cache(1024)
def next_moment(cron: str, zone: ZoneInfo, after: datetime) -> datetime:
    """Return the first matching time after `after`."""
    # Within the repeated hour CronSim finds the times of its first pass.
    found = (start.astimezone(UTC) for start in CronSim(cron, after.astimezone(zone)))
    return next(start for start in found if start > after)


def last_moment(cron: str, zone: ZoneInfo, at: datetime) -> datetime | None:
    """Return the last matching time at or before `at`; None if there is none within 50 years."""
    # In UTC: adding to a local time would go back to the first pass of the repeated hour.
    latest = next(CronSim(cron, (at + MILLISECOND).astimezone(zone), reverse=True), None)
    if latest is None:
        return None
    last = latest.astimezone(UTC)
    # In the second pass CronSim does not find times of the first one.
    while (following := next_moment(cron, zone, last)) <= at:
        last = following
    return last
