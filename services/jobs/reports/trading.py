"""What a report says of accounts: curves, returns, trades, risk and execution. Pure: data in, struct out."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from services.jobs.reports.figures import figure, low_confidence_note
from services.jobs.reports.returns import (
    curve,
    drawdown_episodes,
    month_figures,
    monthly_returns,
    return_figures,
    trailing_returns,
)
from services.jobs.reports.steps import PeriodSteps
from services.jobs.reports.trades import BotTrades, cost_figures, trade_breakdown, trade_figures
from shared.analytics.portfolio import (
    Account,
    PortfolioSummary,
    combine,
    daily_returns,
    summarise,
)
from shared.schema.formatting import metric_label, unit_of_metric
from shared.schema.metric_definitions import (
    DRAWDOWN,
    EXECUTION,
    RISK,
    VALUE_AT_RISK,
    MetricFamilyDefinition,
)
from shared.schema.records import Difference, Undefined
from shared.schema.reports import (
    AccountReport,
    Figure,
    FigureDifference,
)
from shared.schema.undefined_reasons import describe_undefined, describe_warning
from shared.store.time_buckets import TimeBuckets

PORTFOLIO_FIGURES = (
    *("portfolioValue", "totalPnL", "netFlows", "totalReturn", "maxDrawdown", "currentDrawdown"),
    *("volatility", "sharpeRatio", "var95", "var95Amount"),
)
"""Of `GET /api/monitoring/portfolio`, over the period."""


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
    breakdown = trade_breakdown(trades)
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
