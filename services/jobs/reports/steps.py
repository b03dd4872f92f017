"""Steps of a report's curves: how wide, and which belong to the period and to the one before. Pure."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.analytics.portfolio import Account, Holding
from shared.schema.reports import Period
from shared.schema.timestamps import MILLISECOND
from shared.store.time_buckets import HOUR, MINUTE, TimeBuckets

MAX_HOLDINGS = 400_000
"""Steps of all bots together: with 144,000 a portfolio takes 1.1 s of CPU."""
MAX_STEPS = 1600
"""Of the period and the one before together."""
DAY = timedelta(days=1)
WIDTHS = (10 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, DAY)
MONTHS_SHOWN = timedelta(days=2 * 366)
"""How far back the table of monthly returns goes."""


class PeriodSteps(NamedTuple):
    """The steps of the period before and of the period, with one more that the first return starts from."""

    steps: TimeBuckets
    first: int
    """The first step of the period."""
    last: int
    """The last step that the period has reached."""

    def of_period(self, account: Account) -> dict[int, Holding]:
        """Return the period's part of an account, with the step before it."""
        return {step: held for step, held in account.items() if step >= self.first - 1}

    def of_previous(self, account: Account) -> dict[int, Holding]:
        """Return the part of the period before."""
        return {step: held for step, held in account.items() if step < self.first}

    def end_of(self, step: int) -> datetime:
        """Return the end of a step."""
        return self.steps.start + self.steps.width * (step + 1)

    def days(self, zone: ZoneInfo) -> Mapping[int, int]:
        """Return the local day of each step, as an ordinal."""
        starts = (self.steps.start + self.steps.width * step for step in range(self.steps.bucket_count))
        return {step: _day(start, zone).toordinal() for step, start in enumerate(starts)}


def choose_steps(period: Period, bots: int) -> PeriodSteps:
    """Return the narrowest steps of the period and the one before that stay within the limits."""
    for width in WIDTHS:
        found = _cover(period, width)
        count = found.steps.bucket_count
        if count <= MAX_STEPS and count * max(bots, 1) <= MAX_HOLDINGS:
            return found
    return found


def daily_steps(period: Period, bots: int) -> TimeBuckets:
    """Return the days (UTC) of the table of monthly returns; fewer for very many bots."""
    days = min(MONTHS_SHOWN // DAY, max(31, MAX_HOLDINGS // max(bots, 1)))
    return TimeBuckets.covering(period.until - days * DAY, period.until - MILLISECOND, DAY)


def _cover(period: Period, width: timedelta) -> PeriodSteps:
    steps = TimeBuckets.covering(period.previous_since - width, period.until - MILLISECOND, width)
    first = -((steps.start - period.since) // width)  # a step that the period begins within is before it
    return PeriodSteps(steps, first, steps.bucket_count - 1)


def _day(moment: datetime, zone: ZoneInfo) -> date:
    return moment.astimezone(zone).date()
