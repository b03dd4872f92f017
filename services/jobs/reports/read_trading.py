"""Reads what a report says of accounts, in several short transactions."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from services.jobs.reports.steps import PeriodSteps, choose_steps, daily_steps
from services.jobs.reports.trades import BotTrades, fold_trades
from services.jobs.reports.trading import BotData, BotMetrics, Scale
from shared.analytics.disagreements import find_disagreements
from shared.analytics.portfolio import Account
from shared.runtime.config.documents import AnalyticsSection
from shared.schema.accounts import account_currency
from shared.schema.metric_definitions import DEFINITIONS
from shared.schema.patterns import glob_matches
from shared.schema.records import AnyRecord, Difference, Equity, Performance
from shared.schema.report_rows import TradeHour
from shared.schema.reports import Period
from shared.schema.timestamps import MILLISECOND
from shared.schema.units import PERCENT, metric_fields
from shared.store.account_sums import UNKNOWN, common_currency, describe_missing_rate, describe_several
from shared.store.closed_trades import TradeSource, bots_with_reported_trades
from shared.store.currency_conversion import CurrencyConversion
from shared.store.currency_rates import is_same_currency, newest_rate
from shared.store.database import Database
from shared.store.history import performance_rows
from shared.store.latest_records import computed_record_before, latest_record_of
from shared.store.portfolio_data import StepEquity, bots_with_equity, equity_by_step
from shared.store.records import subjects
from shared.store.tables import performance_hours, reported_trades, trades
from shared.store.time_buckets import MINUTE, TimeBuckets
from shared.store.trade_groups import trades_by_hour

METRICS = tuple(DEFINITIONS)
LOOK_BACK = timedelta(days=7) - MINUTE
"""How old the metrics at the end of the period may be; whole minutes, so that those of minutes are read."""
_FIELDS = {field.wire: field for field in metric_fields(Performance)}


class TradingData(NamedTuple):
    """What is read of all bots of a report."""

    scale: Scale
    bots: list[BotData]
    """In their own currencies."""
    portfolio: list[Account]
    """The accounts in the portfolio's currency, by step."""
    portfolio_daily: list[Account]
    portfolio_trades: list[BotTrades]
    currency: str | None
    """Of the portfolio; None with `reason`."""
    reason: str | None
    notes: list[str]


class _Curves(NamedTuple):
    by_step: dict[str, list[StepEquity]]
    by_day: dict[str, list[StepEquity]]


def read_trading(
    database: Database, analytics: AnalyticsSection, period: Period, patterns: Sequence[str], all_metrics: int
) -> TradingData:
    """Read the bots that match `patterns` (none: all); metrics of those only that come first by equity."""
    with database.read() as connection:
        names = _matching(_known_bots(connection), patterns)
        with_equity = _matching(bots_with_equity(connection), patterns)
        reporting = frozenset(bots_with_reported_trades(connection))
    periods, days = choose_steps(period, len(with_equity)), daily_steps(period, len(with_equity))
    with database.read() as connection:
        curves = _Curves(
            equity_by_step(connection, with_equity, periods.steps),
            equity_by_step(connection, with_equity, days),
        )
    bots: list[BotData] = []
    largest = _largest(curves.by_step, all_metrics)
    for name in names:
        bot = _read_bot(database, analytics, name, period, periods, curves, days, name in reporting)
        if bot is None:
            continue
        if name in largest or len(names) <= all_metrics:
            bot = _with_metrics(database, bot, period)
        bots.append(bot)
    scale = Scale(periods, days, ZoneInfo(period.time_zone))
    return _as_portfolio(database, analytics, scale, bots, period)


def _known_bots(connection: Connection) -> list[str]:
    tables = (performance_hours, trades, reported_trades)
    found = {name for table in tables for name in subjects(connection, table)}
    return sorted(found | set(bots_with_equity(connection)))


def _matching(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    return [
        name for name in names if not patterns or any(glob_matches(pattern, name) for pattern in patterns)
    ]


def _largest(curves: dict[str, list[StepEquity]], most: int) -> set[str]:
    return set(sorted(curves, key=lambda name: -curves[name][-1].equity)[:most])


def _read_bot(  # noqa: PLR0913, PLR0917 - what each bot is read with
    database: Database,
    analytics: AnalyticsSection,
    name: str,
    period: Period,
    periods: PeriodSteps,
    curves: _Curves,
    days: TimeBuckets,
    is_reporting: bool,
) -> BotData | None:
    """Read one bot; None if nothing is known of it in the period and the one before."""
    with database.read() as connection:
        found = _read_trades(connection, name, period, is_reporting=is_reporting)
        curve = curves.by_step.get(name, [])
        if (
            not curve
            and not found.by_symbol
            and not found.previous
            and not _is_active(connection, name, period)
        ):
            return None
        kinds: tuple[type[Equity | Performance], ...] = (Equity, Performance)
        records: list[AnyRecord] = [one for kind in kinds for one in latest_record_of(connection, kind, name)]
        currency = account_currency(records) or analytics.settings_for(name).currency
        own = CurrencyConversion(connection, None, None, periods.steps)
        own_days = CurrencyConversion(connection, None, None, days)
        account = own.account(curve, currency or UNKNOWN, periods.last)
        daily = own_days.account(curves.by_day.get(name, []), currency or UNKNOWN, days.bucket_count - 1)
    return BotData(name, currency, account, daily, found, None, None)


def _is_active(connection: Connection, name: str, period: Period) -> bool:
    span = TimeBuckets(period.since, period.until - period.since, 1)
    return any(
        performance_rows(connection, name, source, ["totalTrades"], span)
        for source in ("computed", "reported")
    )


def _read_trades(connection: Connection, name: str, period: Period, *, is_reporting: bool) -> BotTrades:
    source: TradeSource = "reported" if is_reporting else "fills"

    def read(since: datetime, until: datetime) -> Iterator[TradeHour]:
        return trades_by_hour(connection, source, name, (since, until - MILLISECOND))

    zone = ZoneInfo(period.time_zone)
    return fold_trades(read(period.since, period.until), read(period.previous_since, period.since), zone)


def _with_metrics(database: Database, bot: BotData, period: Period) -> BotData:
    with database.read() as connection:
        now = read_metrics(connection, bot.name, period.until)
        before = read_metrics(connection, bot.name, period.since)
    return bot._replace(now=now, before=before)


def read_metrics(connection: Connection, bot: str, at: datetime) -> BotMetrics | None:
    """Return a bot's metrics right before `at`, as the API shows them; None if there are none for a week."""
    span = (at - LOOK_BACK, at)
    record = computed_record_before(connection, bot, span)
    computed = (
        {name: getattr(record, _FIELDS[name].attribute) for name in METRICS}
        if record
        else _last_row(connection, bot, "computed", span)
    )
    reported = _last_row(connection, bot, "reported", span)
    if computed is None and reported is None:
        return None
    own = {name: value for name, value in (reported or {}).items() if value is not None}
    return BotMetrics(
        values={**(computed or dict.fromkeys(METRICS)), **own},
        reported=frozenset(own),
        undefined=record.undefined if record else {},
        low_confidence={
            name: n for name, n in (record.low_confidence if record else {}).items() if name not in own
        },
        differences=record.differences if record else _differences(own, computed or {}),
        warnings=record.warnings if record else (),
    )


def _last_row(
    connection: Connection, bot: str, source: str, span: tuple[datetime, datetime]
) -> dict[str, float | None] | None:
    since, until = span
    rows = performance_rows(connection, bot, source, METRICS, TimeBuckets(since, until - since, 1))
    return dict(zip(METRICS, rows[-1][1:], strict=True)) if rows else None


def _differences(reported: dict[str, float], computed: dict[str, float | None]) -> dict[str, Difference]:
    """Return what differs, from rows without remarks; shares of computed rows are in percent."""
    own = SimpleNamespace(
        **{_FIELDS[name].attribute: reported.get(name) for name in METRICS},
    )
    fractions = {
        _FIELDS[name].attribute: value / 100 if _FIELDS[name].unit is PERCENT else value
        for name, value in computed.items()
        if value is not None
    }
    return find_disagreements(own, fractions, computed.get("portfolioValue"))


def _as_portfolio(
    database: Database, analytics: AnalyticsSection, scale: Scale, bots: list[BotData], period: Period
) -> TradingData:
    """Convert all accounts and trades to one currency; those without a price are left out, with a note."""
    reporting = analytics.reporting_currency
    currencies = sorted({bot.currency for bot in bots if bot.currency})
    currency = common_currency(currencies, reporting)
    if currency is None and currencies:
        return TradingData(scale, bots, [], [], [], None, describe_several(currencies), [])
    notes, kept = [], []
    with database.read() as connection:
        by_step = CurrencyConversion(connection, currency, reporting, scale.periods.steps)
        by_day = CurrencyConversion(connection, currency, reporting, scale.days)
        for bot in bots:
            own = bot.currency or UNKNOWN
            rate = _rate(connection, own, currency, reporting, period)
            account = by_step.converted(bot.account, own)
            if rate is None or (bot.account and not account):
                notes.append(
                    f"{bot.name} is not in the portfolio: {describe_missing_rate(own, str(currency))}"
                )
                continue
            kept.append((account, by_day.converted(bot.daily, own), bot.trades.converted(rate)))
    return TradingData(
        scale,
        bots,
        [account for account, _, _ in kept],
        [daily for _, daily, _ in kept],
        [found for _, _, found in kept],
        currency,
        None,
        notes,
    )


def _rate(
    connection: Connection, own: str, currency: str | None, reporting: str | None, period: Period
) -> float | None:
    """Return the price that trades are converted with: the newest one at the end of the period."""
    if currency is None or is_same_currency(own, currency) or (own == UNKNOWN and reporting is None):
        return 1.0
    found = None if own == UNKNOWN else newest_rate(connection, own, currency, period.until)
    return found.price if found else None
