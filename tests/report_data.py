"""Databases with 70 days of three bots, alerts, checks and a host, for tests of reports."""

import math
from datetime import UTC, datetime, timedelta
from random import Random

from sqlalchemy import Connection, insert

from shared.schema.alerts import Alert, Change, Details, Severity, build_notice
from shared.schema.records import Check, CheckStatus, Equity, Health, Performance, Undefined
from shared.schema.timestamps import to_store
from shared.store.alerts import add_event, insert_alert, update_alert
from shared.store.check_rollups import roll_up_checks
from shared.store.database import Database
from shared.store.health_rollups import roll_up_hosts
from shared.store.outbox import PlannedDelivery, add_deliveries
from shared.store.records import insert_records
from shared.store.rollups import roll_up
from shared.store.tables import equity_hours, equity_minutes, notifications, trades

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
"""A Saturday: the last complete week is 19 to 25 January, the last complete month is December."""
MIDNIGHT = NOW.replace(hour=0)
DAYS = 50
HOUR = timedelta(hours=1)
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")


def fill_performance(database: Database, *, bots: int = 3, days: int = DAYS, currency: str = "USDT") -> None:
    """Store equity, trades and metrics of bots: `alpha`, `beta`, `gamma`; more are `bot-000` and so on."""
    names = ("alpha", "beta", "gamma")[:bots] if bots <= 3 else [f"bot-{n:03}" for n in range(bots)]
    for place, name in enumerate(names):
        random = Random(place + 1)
        with database.write() as connection:
            last = _equity(connection, name, random, days, drift=(0.25 - 0.35 * (place % 3)) / 1000)
            _trades(connection, name, random, days, losing=place % 3 == 1)
            _metrics(connection, name, last, days, currency)
            while roll_up(connection, 1000):
                pass


def _equity(connection: Connection, bot: str, random: Random, days: int, drift: float) -> float:
    equity = peak = 10_000.0
    rows = []
    for hour in range(days * 24 + 12):
        begin = NOW - timedelta(days=days, hours=12) + hour * HOUR
        flow = 500.0 if hour == days * 12 else 0.0
        opened = equity
        equity = equity * (1 + random.gauss(drift, 0.003)) + flow
        peak = max(peak + flow, equity)
        fall = (peak - equity) / peak
        rows.append(
            {
                "bot": bot, "timestamp": to_store(begin), "open": opened, "high": max(opened, equity),
                "low": min(opened, equity), "close": equity, "netFlow": flow, "drawdown": fall,
                "lastDrawdown": fall, "peak": peak, "points": 60,
            }
        )  # fmt: skip
    connection.execute(insert(equity_hours), rows)
    # One minute per hour is enough: a step takes its last one.
    late = [row | {"timestamp": str(row["timestamp"]).replace(":00:00.000", ":59:00.000")} for row in rows]
    connection.execute(insert(equity_minutes), late)
    return equity


def _trades(connection: Connection, bot: str, random: Random, days: int, *, losing: bool) -> None:
    rows = []
    for number in range(1, days * 8):
        closed = NOW - timedelta(days=days) + timedelta(hours=3 * number, minutes=random.randrange(60))
        is_bad = losing and number % 3 == 0
        pnl = random.gauss(-9 if is_bad else 2, 10)
        rows.append(
            {
                "bot": bot, "number": number, "symbol": SYMBOLS[number % 3], "side": "buy", "quantity": 1.0,
                "openedAt": to_store(closed - HOUR), "closedAt": to_store(closed), "entryPrice": 100.0,
                "exitPrice": 100.0 + pnl, "fees": 0.4, "pnl": pnl, "funding": 0.1, "multiplier": 1.0,
            }
        )  # fmt: skip
    connection.execute(insert(trades), rows)


def _metrics(connection: Connection, bot: str, equity: float, days: int, currency: str) -> None:
    records: list[Performance | Equity] = [Equity(bot=bot, timestamp=NOW, equity=equity, currency=currency)]
    for day in range(days, -1, -1):
        at = MIDNIGHT - timedelta(days=day, seconds=30)
        n = days - day
        computed = Performance(
            bot=bot, timestamp=at, source="computed", currency=currency, trading_days=n,
            sharpe_ratio=1.25 + n / 100, sortino_ratio=1.9, max_drawdown=8.5, current_drawdown=2.25,
            volatility=31.0, var95=1.5, var95_amount=150.0, portfolio_value=equity, win_rate=55.5,
            total_trades=8 * n, reject_rate=7.5 if bot == "beta" else 0.5, fill_rate=97.0, slippage_bps=2.5,
            low_confidence={"sharpeRatio": n} if n < 30 else {},
            undefined={"beta": Undefined(reason="no_benchmark"), "alpha": Undefined(reason="no_benchmark")},
        )  # fmt: skip
        records.append(computed)
        if bot == "alpha":
            reported = Performance(bot=bot, timestamp=at, portfolio_value=equity, win_rate=75.0)
            records.append(reported)
    insert_records(connection, records)


def fill_health(database: Database, days: int = 3) -> None:
    """Store alerts with notices, an hourly check and a host, of the last days."""
    with database.write() as connection:
        for number in range(12):
            _alert(connection, number, NOW - timedelta(hours=14 + 3 * number))
        begin = NOW - timedelta(days=days)
        checks: list[Check] = []
        hosts: list[Health] = []
        for minute in range(0, days * 24 * 60, 5):
            at = begin + timedelta(minutes=minute)
            is_down = at.day == 30 and at.hour == 4
            status: CheckStatus = "critical" if is_down else "ok"
            checks.append(
                Check(
                    host="box", check="site", type="http", status=status, timestamp=at, interval_seconds=300,
                    text="HTTP 503" if is_down else "HTTP 200", check_latency_ms=40.0,
                    certificate_days=12.0 + days - minute / 1440,
                )
            )  # fmt: skip
            load = 40 + 20 * math.sin(minute / 200)
            hosts.append(
                Health(
                    host="box", timestamp=at, system_health="HEALTHY", cpu_usage=load, memory_usage=88.0,
                    disk_usage=60 + minute / 300, disk_full_days=9.5,
                )
            )  # fmt: skip
        new = insert_records(connection, [*checks, *hosts]).new
        roll_up_checks(connection, (one for one in new if isinstance(one, Check)))
        roll_up_hosts(connection, (one for one in new if isinstance(one, Health)))


def _alert(connection: Connection, number: int, opened: datetime) -> None:
    severity: Severity = "CRITICAL" if number % 4 == 0 else "MEDIUM"
    alert = Alert(
        id=f"alert-{number}",
        timestamp=opened,
        severity=severity,
        category="PERFORMANCE",
        component="beta",
        message="Drawdown <b>12%</b> from the peak (limit 10%)",
        status="ACTIVE",
        details=Details(
            rule="drawdown", bot="beta", metric="maxDrawdown", value=12, operator=">", threshold=10
        ),
        fingerprint=f"fingerprint-{number}",
        updated_at=opened,
    )
    insert_alert(connection, alert)
    event = add_event(connection, alert, "opened", opened)
    planned = PlannedDelivery("phone", "desk: step 1 of 1 (ann)")
    add_deliveries(connection, event, build_notice(alert, "opened"), [planned])
    sent = {"state": "SENT", "sentAt": to_store(opened + timedelta(seconds=1))}
    connection.execute(notifications.update().where(notifications.c.alertId == alert.id).values(**sent))
    changes: list[tuple[Change, timedelta]] = [("resolved", timedelta(minutes=4))]
    if severity == "CRITICAL":
        changes = [("acknowledged", timedelta(minutes=20)), ("resolved", timedelta(hours=1))]
        alert.assignee = "ann"
    for change, after in changes:
        alert.status = "ACKNOWLEDGED" if change == "acknowledged" else "RESOLVED"
        if change == "resolved":
            alert.resolved_at = opened + after
        add_event(connection, alert, change, opened + after)
    update_alert(connection, alert)
