"""What a report says of accounts: curves, returns, trades, risk and execution. Pure: data in, struct out."""

import calendar
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from services.jobs.reports.steps import PeriodSteps
from shared.analytics.portfolio import (
    Account,
    PortfolioPoint,
    PortfolioSummary,
    combine,
    daily_returns,
    summarise,
)
from shared.analytics.returns import MIN_RETURNS
from shared.schema.formatting import metric_label, unit_of_metric
from shared.schema.metric_definitions import (
    DRAWDOWN,
    EXECUTION,
    RISK,
    VALUE_AT_RISK,
    MetricFamilyDefinition,
)
from shared.schema.records import Difference, Undefined
from shared.schema.report_rows import TradeHour
from shared.schema.reports import (
    AccountReport,
    CurvePoint,
    DrawdownEpisode,
    Figure,
    FigureDifference,
    TradeBreakdown,
    TradeGroup,
    YearReturns,
)
from shared.schema.undefined_reasons import describe_undefined, describe_warning
from shared.schema.units import MONEY, PERCENT, PLAIN, Unit
from shared.store.time_buckets import TimeBuckets

MAX_CURVE_POINTS = 300
MAX_SYMBOLS = 20
"""Symbols with a row of their own: half the best, half the worst."""
MAX_DRAWDOWNS = 5
OTHERS = "others"

PORTFOLIO_FIGURES = (
    *("portfolioValue", "totalPnL", "netFlows", "totalReturn", "maxDrawdown", "currentDrawdown"),
    *("volatility", "sharpeRatio", "var95", "var95Amount"),
)
"""Of `GET /api/monitoring/portfolio`, over the period."""
_PERCENTAGES = {
    "totalReturn", "bestDay", "worstDay", "positiveDays", "returnMonthToDate", "return3Months",
    "return6Months", "returnYearToDate", "return12Months", "bestMonth", "worstMonth",
}  # fmt: skip
"""Figures that are no metric of a record, in percent."""
_LABELS = {
    "netFlows": "Deposits − withdrawals", "totalReturn": "Return", "totalPnL": "P&L",
    "maxDrawdown": "Deepest drawdown", "currentDrawdown": "Drawdown at the end",
    "portfolioValue": "Equity at the end", "bestDay": "Best day", "worstDay": "Worst day",
    "positiveDays": "Days with a gain", "losingDays": "Losing days in a row",
    "returnMonthToDate": "Month to date", "return3Months": "3 months", "return6Months": "6 months",
    "returnYearToDate": "Year to date", "return12Months": "12 months", "bestMonth": "Best month",
    "worstMonth": "Worst month", "tradingDays": "Daily returns", "trades": "Closed trades",
    "tradePnL": "P&L of closed trades", "winRate": "Win rate", "profitFactor": "Profit factor",
    "averageWin": "Average win", "averageLoss": "Average loss", "payoffRatio": "Payoff ratio",
    "expectancy": "Expectancy", "fees": "Fees paid", "funding": "Funding paid",
}  # fmt: skip


class BotMetrics(NamedTuple):
    """A bot's metrics at one moment, as the API shows them: the reported ones, else the computed ones."""

    values: Mapping[str, float | None]
    """By name on the wire, in its units."""
    reported: frozenset[str] = frozenset()
    """Those that the bot reports itself."""
    undefined: Mapping[str, Undefined] = MappingProxyType({})
    low_confidence: Mapping[str, int] = MappingProxyType({})
    differences: Mapping[str, Difference] = MappingProxyType({})
    warnings: Sequence[str] = ()


class BotTrades(NamedTuple):
    """A bot's trades of the period, and of the period before."""

    current: Sequence[TradeHour] = ()
    previous: Sequence[TradeHour] = ()


class BotData(NamedTuple):
    """What is read of one bot; amounts of `account` and `trades` are in the currency of the figures."""

    name: str
    currency: str | None
    account: Account
    """By the report's steps, in its own currency."""
    daily: Account
    """By day."""
    trades: BotTrades
    now: BotMetrics | None
    """At the end of the period."""
    before: BotMetrics | None
    """At its beginning."""


class Scale(NamedTuple):
    """What all accounts of a report have in common."""

    periods: PeriodSteps
    days: TimeBuckets
    """Of `BotData.daily`."""
    zone: ZoneInfo


def account_report(
    name: str,
    currency: str | None,
    accounts: Sequence[Account],
    daily: Sequence[Account],
    trades: Sequence[BotTrades],
    scale: Scale,
) -> AccountReport:
    """Return the report of one or several accounts as one; `reason` says if there is no equity."""
    periods = scale.periods
    points = combine(periods.of_period(account) for account in accounts)
    before = combine(periods.of_previous(account) for account in accounts)
    by_day = periods.days(scale.zone)
    returns, returns_before = daily_returns(points, by_day), daily_returns(before, by_day)
    breakdown = trade_breakdown(trades, scale.zone)
    history = combine(daily)
    monthly = monthly_returns(history, scale.days)
    has_equity = any(point.step >= periods.first for point in points)
    found = summarise(points if has_equity else [], returns)
    return AccountReport(
        name=name,
        currency=currency,
        reason=None if has_equity else "No equity was reported in the period.",
        figures=[
            *portfolio_figures(found, summarise(before, returns_before)),
            *return_figures(returns, returns_before),
            *trade_figures(breakdown),
            *cost_figures(trades),
        ],
        curve=curve(points, periods) if has_equity else [],
        returns=[value * 100 for value in returns],
        monthly=monthly,
        trailing=[*trailing_returns(history, scale.days), *month_figures(monthly)] if history else [],
        drawdowns=drawdown_episodes(points, periods) if has_equity else [],
        trades=breakdown,
    )


def portfolio_figures(now: PortfolioSummary, before: PortfolioSummary) -> list[Figure]:
    """Return the metrics of a portfolio over the period."""
    return [
        figure(name, now.metrics[name], before.metrics[name], note=_summary_note(now, name))
        for name in PORTFOLIO_FIGURES
    ]


def _summary_note(found: PortfolioSummary, name: str) -> str:
    if why := found.undefined.get(name):
        return describe_undefined(why)
    if n := found.low_confidence.get(name):
        return low_confidence_note(n)
    return ""


def low_confidence_note(n: int) -> str:
    """Return the note of a figure that few daily returns are behind."""
    return f"Low confidence: only {n} daily return{'' if n == 1 else 's'}."


def figure(
    name: str, value: float | None, previous: float | None = None, *, unit: Unit | None = None, note: str = ""
) -> Figure:
    """Return a figure under its label and unit."""
    scale = unit or (PERCENT if name in _PERCENTAGES else unit_of_metric(name))
    label = _LABELS.get(name) or metric_label(name)
    return Figure(name=name, label=label, unit=scale.name, value=value, previous=previous, note=note)


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


def trade_figures(trades: TradeBreakdown) -> list[Figure]:
    """Return the statistics of the trades of the period."""
    now, before = trades.total, trades.previous
    unknown = f"{now.undefined} trades have no known P&L." if now.undefined else ""
    none = "" if now.trades else "No trade closed in the period."
    no_loss = none or ("" if now.losses else "No losing trade to divide by.")
    return [
        figure("trades", now.trades, before.trades, unit=PLAIN),
        figure("tradePnL", now.pnl, before.pnl, unit=MONEY, note=unknown),
        figure("winRate", win_rate(now), win_rate(before), unit=PERCENT, note=none),
        figure("profitFactor", profit_factor(now), profit_factor(before), unit=PLAIN, note=no_loss),
        figure("expectancy", _expectancy(now), _expectancy(before), unit=MONEY, note=none),
        figure("averageWin", _average_win(now), _average_win(before), unit=MONEY),
        figure("averageLoss", _average_loss(now), _average_loss(before), unit=MONEY),
        figure("payoffRatio", _payoff(now), _payoff(before), unit=PLAIN, note=no_loss),
    ]


def cost_figures(trades: Iterable[BotTrades]) -> list[Figure]:
    """Return what the trades of the period cost."""
    bots = list(trades)
    now = [trade for bot in bots for trade in bot.current]
    before = [trade for bot in bots for trade in bot.previous]
    return [
        figure(
            name,
            math.fsum(getattr(trade, name) for trade in now),
            math.fsum(getattr(trade, name) for trade in before),
            unit=MONEY,
        )
        for name in ("fees", "funding")
    ]


def win_rate(trades: TradeGroup) -> float | None:
    """Return the share of trades with a profit, percent; as `TradeStatistics.win_rate`."""
    return trades.wins / trades.trades * 100 if trades.trades else None


def profit_factor(trades: TradeGroup) -> float | None:
    """Return gains over losses in money; None without a loss."""
    return trades.gains / trades.lost if trades.lost else None


def _expectancy(trades: TradeGroup) -> float | None:
    return trades.pnl / trades.trades if trades.trades else None


def _average_win(trades: TradeGroup) -> float | None:
    return trades.gains / trades.wins if trades.wins else None


def _average_loss(trades: TradeGroup) -> float | None:
    return -trades.lost / trades.losses if trades.losses else None


def _payoff(trades: TradeGroup) -> float | None:
    win, loss = _average_win(trades), _average_loss(trades)
    return win / -loss if win is not None and loss else None


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


def trade_breakdown(bots: Sequence[BotTrades], zone: ZoneInfo) -> TradeBreakdown:
    """Return the trades of the period by symbol, local weekday and local hour."""
    hours = [trade for bot in bots for trade in bot.current]
    local: dict[datetime, datetime] = {}
    for trade in hours:
        if trade.hour not in local:
            local[trade.hour] = trade.hour.astimezone(zone)
    weekdays = _group(hours, lambda trade: calendar.day_abbr[local[trade.hour].weekday()])
    by_hour = _group(hours, lambda trade: f"{local[trade.hour].hour:02}")
    return TradeBreakdown(
        total=trade_group("all", hours),
        previous=trade_group("all", [trade for bot in bots for trade in bot.previous]),
        by_symbol=_best_and_worst(_group(hours, lambda trade: trade.symbol)),
        by_weekday=[trade_group(day, weekdays[day]) for day in calendar.day_abbr if day in weekdays],
        by_hour=[trade_group(hour, by_hour[hour]) for hour in sorted(by_hour)],
    )


def _group(trades: Iterable[TradeHour], key: Callable[[TradeHour], str]) -> dict[str, list[TradeHour]]:
    found: dict[str, list[TradeHour]] = {}
    for trade in trades:
        found.setdefault(key(trade), []).append(trade)
    return found


def _best_and_worst(symbols: Mapping[str, list[TradeHour]]) -> list[TradeGroup]:
    groups = [trade_group(symbol, trades) for symbol, trades in symbols.items()]
    groups.sort(key=lambda group: (-group.pnl, group.key))
    if len(groups) <= MAX_SYMBOLS:
        return groups
    half = MAX_SYMBOLS // 2
    left = {group.key for group in groups[half:-half]}
    rest = [trade for symbol, trades in symbols.items() if symbol in left for trade in trades]
    return [*groups[:half], *groups[-half:], trade_group(f"{len(left)} {OTHERS}", rest)]


def trade_group(key: str, trades: Sequence[TradeHour]) -> TradeGroup:
    """Return the sums of trades."""
    return TradeGroup(
        key=key,
        trades=sum(trade.number for trade in trades),
        wins=sum(trade.wins for trade in trades),
        losses=sum(trade.losses for trade in trades),
        pnl=math.fsum(trade.pnl for trade in trades),
        gains=math.fsum(trade.gains for trade in trades),
        lost=math.fsum(trade.lost for trade in trades),
        undefined=sum(trade.undefined for trade in trades),
    )


def metric_figures(
    families: Iterable[MetricFamilyDefinition], now: BotMetrics, before: BotMetrics | None
) -> list[Figure]:
    """Return the metrics of families at the end of the period, and at its beginning."""
    earlier = before.values if before else {}
    return [
        Figure(
            name=metric.wire,
            label=metric.label,
            unit=unit_of_metric(metric.wire).name,
            value=now.values.get(metric.wire),
            previous=earlier.get(metric.wire),
            note=_metric_note(now, metric.wire, family.doubt),
        )
        for family in families
        for metric in family.figures
    ]


def _metric_note(found: BotMetrics, name: str, doubt: str) -> str:
    if name in found.reported:
        return "Reported by the bot."
    if found.values.get(name) is None:
        why = found.undefined.get(name)
        return describe_undefined(why) if why else "Undefined."
    n = found.low_confidence.get(name)
    return "" if n is None else doubt.replace("{n}", str(n)) or low_confidence_note(n)


def with_metrics(report: AccountReport, bot: BotData) -> AccountReport:
    """Return a bot's report with risk, execution, differences and warnings."""
    if bot.now is None:
        return report
    return msgspec.structs.replace(
        report,
        risk=metric_figures((RISK, DRAWDOWN, VALUE_AT_RISK), bot.now, bot.before),
        execution=metric_figures((EXECUTION,), bot.now, bot.before),
        differences=[
            FigureDifference(
                name=name,
                label=metric_label(name),
                unit=unit_of_metric(name).name,
                reported=found.reported,
                computed=found.computed,
            )
            for name, found in bot.now.differences.items()
        ],
        warnings=[describe_warning(code) for code in bot.now.warnings],
    )
