"""The list of bots: one row for each, with its money, its day, and whether it needs attention."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import msgspec

from services.dashboard import snapshot
from services.dashboard.api.answers import Answer
from services.dashboard.data_sources import DataSources
from shared.schema.accounts import account_currency
from shared.schema.alerts import SEVERITIES, Alert, Severity
from shared.schema.overall_status import needs_attention
from shared.schema.records import AnyRecord, Performance
from shared.store.alerts import open_alerts
from shared.store.portfolio_data import StepEquity, equity_by_step, reported_value_by_step
from shared.store.time_buckets import HOUR, TimeBuckets

SPARKLINE_HOURS = 24
DAY = timedelta(days=1)


class BotRow(Answer):
    """A bot as the overview lists it; money in `currency`."""

    bot: str
    last_seen: datetime | None
    age_seconds: float | None
    kinds: dict[str, datetime]
    """When the latest record of each kind was."""
    retired: bool
    active_alerts: int
    """Open alerts, acknowledged and muted ones too."""
    severity: Severity | None
    """Of the most severe alert that is neither acknowledged nor muted."""
    labels: dict[str, str]
    currency: str | None
    source: Literal["reported", "computed"] | None
    """Whether the bot reports its performance, or Botwatch computes it."""
    portfolio_value: float | None
    day_pnl: float | None = msgspec.field(name="dayPnL")
    """P&L since 00:00 UTC without deposits and withdrawals; None without a value before or after that."""
    day_return: float | None
    """`dayPnL` in percent of the value at 00:00 UTC."""
    current_drawdown: float | None
    """Percent."""
    sparkline: list[float | None]
    """Value at the end of each of the last 24 hours, oldest first; None where there is none."""


class Day(NamedTuple):
    """A bot's curve over today and the last 24 hours."""

    pnl: float | None
    percent: float | None
    sparkline: list[float | None]


def list_bots(sources: DataSources, now: datetime) -> list[BotRow]:
    """Return a row for each bot, by name."""
    records = snapshot.group_by_bot(sources.read_current(now).records)
    alerts: defaultdict[str, list[Alert]] = defaultdict(list)
    with sources.health.read() as connection:
        for alert in open_alerts(connection):
            alerts[alert.component].append(alert)
    # From the day before, so that a bot that was silent over midnight has a value there.
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    hours = TimeBuckets.covering(midnight - DAY, now, HOUR)
    with sources.performance.read() as connection:
        curves = equity_by_step(connection, list(records), hours)
        others = [bot for bot in records if bot not in curves]
        curves |= reported_value_by_step(connection, others, hours)
    first_today = (midnight - hours.start) // HOUR
    return [
        _row(
            snapshot.bot_summary(bot, own, now),
            own,
            account_currency(own) or sources.configured_currency(bot),
            alerts[bot],
            day_of(curves.get(bot, []), first_today, hours.bucket_count),
        )
        for bot, own in records.items()
    ]


def day_of(curve: Sequence[StepEquity], first_today: int, steps: int) -> Day:
    """Return the P&L since the step `first_today`, and the last 24 of the `steps`. Pure."""
    values: list[float | None] = [None] * steps
    for step in curve:
        values[step.step] = step.equity
    before = [step for step in curve if step.step < first_today]
    today = [step for step in curve if step.step >= first_today]
    sparkline = values[-SPARKLINE_HOURS:]
    if not before or not today:
        return Day(None, None, sparkline)
    begin = before[-1].equity
    pnl = today[-1].equity - begin - sum(step.flow for step in today)
    return Day(pnl, 100 * pnl / begin if begin > 0 else None, sparkline)


def _row(
    seen: snapshot.BotSeen, records: list[AnyRecord], currency: str | None, alerts: list[Alert], day: Day
) -> BotRow:
    calling = [alert.severity for alert in alerts if needs_attention(alert)]
    performance = max(
        (record for record in records if isinstance(record, Performance)),
        key=lambda record: record.source == "reported",
        default=None,
    )
    return BotRow(
        **seen._asdict(),
        active_alerts=len(alerts),
        severity=max(calling, key=SEVERITIES.index, default=None),
        labels=performance.labels if performance else {},
        currency=currency,
        source=performance.source if performance else None,
        portfolio_value=snapshot.shown_value(records, "portfolio_value"),
        day_pnl=day.pnl,
        day_return=day.percent,
        current_drawdown=snapshot.shown_value(records, "current_drawdown"),
        sparkline=day.sparkline,
    )
