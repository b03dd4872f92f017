"""What curves and daily returns of a period say. Pure."""

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from services.jobs.reports.figures import figure
from services.jobs.reports.steps import PeriodSteps
from shared.analytics.portfolio import (
    PortfolioPoint,
)
from shared.analytics.returns import MIN_RETURNS
from shared.schema.reports import (
    CurvePoint,
    DrawdownEpisode,
    Figure,
    YearReturns,
)
from shared.schema.units import PLAIN
from shared.store.time_buckets import TimeBuckets

MAX_CURVE_POINTS = 300
MAX_DRAWDOWNS = 5


def return_figures(returns: Sequence[float], before: Sequence[float]) -> list[Figure]:
    """Return what the daily returns (fractions) of the period say."""

    def both(of: Callable[[Sequence[float]], float]) -> tuple[float | None, float | None]:
        return (of(returns) if returns else None, of(before) if before else None)

    none = "" if returns else "No day of the period has a return."
    positive = both(lambda values: sum(value > 0 for value in values) / len(values) * 100)
    best, worst = both(lambda values: max(values) * 100), both(lambda values: min(values) * 100)
    return [
        figure("bestDay", *best, note=none),
        figure("worstDay", *worst, note=none),
        figure("positiveDays", *positive, note=none),
        figure("losingDays", losing_days(returns), losing_days(before), unit=PLAIN, note=none),
        figure("tradingDays", len(returns), len(before), unit=PLAIN),
    ]


def curve(points: Sequence[PortfolioPoint], periods: PeriodSteps) -> list[CurvePoint]:
    """Return the equity curve of the period, thinned out: each piece's last point and deepest drawdown."""
    size = max(1, math.ceil(len(points) / MAX_CURVE_POINTS))
    pieces = [points[begin : begin + size] for begin in range(0, len(points), size)]
    return [
        CurvePoint(
            at=periods.end_of(piece[-1].step),
            equity=piece[-1].equity,
            growth=(piece[-1].growth - 1) * 100,
            drawdown=max(point.drawdown for point in piece) * 100,
        )
        for piece in pieces
    ]


def monthly_returns(history: Sequence[PortfolioPoint], days: TimeBuckets) -> list[YearReturns]:
    """Return the chained returns of each month (UTC) and year."""
    growth: dict[tuple[int, int], float] = {}
    for point in history:
        if point.gain is not None:
            day = days.start + days.width * point.step
            key = (day.year, day.month)
            growth[key] = growth.get(key, 1.0) * (1 + point.gain)
    found = []
    for year in sorted({year for year, _ in growth}):
        months = [growth.get((year, month)) for month in range(1, 13)]
        total = math.prod(month for month in months if month is not None)
        shares = [None if month is None else (month - 1) * 100 for month in months]
        found.append(YearReturns(year=year, months=shares, total=(total - 1) * 100))
    return found


def trailing_returns(history: Sequence[PortfolioPoint], days: TimeBuckets) -> list[Figure]:
    """Return the returns up to the last day; undefined where the history does not reach back so far."""
    ends = {days.start + days.width * (point.step + 1): point.growth for point in history}
    last = max(ends)
    begin_of_day = last - days.width
    month, year = begin_of_day.replace(day=1), begin_of_day.replace(month=1, day=1)
    spans = {
        "returnMonthToDate": month,
        "return3Months": last - timedelta(days=91),
        "return6Months": last - timedelta(days=182),
        "returnYearToDate": year,
        "return12Months": last - timedelta(days=365),
    }
    found = []
    for name, since in spans.items():
        before = max((end for end in ends if end <= since), default=None)
        base = ends[before] if before else 0.0
        value = (ends[last] / base - 1) * 100 if base > 0 else None
        note = "" if value is not None else f"The history begins on {min(ends) - days.width:%Y-%m-%d}."
        found.append(figure(name, value, note=note))
    return found


def month_figures(years: Sequence[YearReturns]) -> list[Figure]:
    """Return the best and the worst month; of a single month there is neither."""
    months = [value for year in years for value in year.months if value is not None]
    if len(months) < MIN_RETURNS:
        return []
    return [figure("bestMonth", max(months)), figure("worstMonth", min(months))]


def losing_days(returns: Iterable[float]) -> int:
    """Return the largest number of days with a loss in a row."""
    longest = current = 0
    for value in returns:
        current = current + 1 if value < 0 else 0
        longest = max(longest, current)
    return longest


def drawdown_episodes(points: Sequence[PortfolioPoint], periods: PeriodSteps) -> list[DrawdownEpisode]:
    """Return the deepest falls below the highest value of the period, deepest first."""
    found: list[DrawdownEpisode] = []
    peak = points[0]
    deepest: PortfolioPoint | None = None

    def end(last: PortfolioPoint, *, recovered: bool) -> None:
        if deepest is None:
            return
        began, ended = periods.end_of(peak.step), periods.end_of(last.step)
        found.append(
            DrawdownEpisode(
                began=began,
                deepest_at=periods.end_of(deepest.step),
                ended=ended if recovered else None,
                depth=deepest.drawdown * 100,
                days=(ended - began) / timedelta(days=1),
            )
        )

    for point in points:
        if point.drawdown <= 0:
            end(point, recovered=True)
            peak, deepest = point, None
        elif deepest is None or point.drawdown > deepest.drawdown:
            deepest = point
    end(points[-1], recovered=False)
    return sorted(found, key=lambda one: -one.depth)[:MAX_DRAWDOWNS]
