"""The list of bots over HTTP: a row for each, with its day."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import insert

from services.dashboard.api.bot_list import day_of
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import Equity, Performance
from shared.schema.timestamps import to_store
from shared.store.database import Database
from shared.store.portfolio_data import StepEquity
from shared.store.tables import performance_hours
from tests.unit.dashboard.sample_data import NOON, bar, earn, get_json, make_alert, store_open_alert


def test_the_days_pnl_leaves_deposits_out_and_begins_at_midnight_utc(
    client: FlaskClient, redis: Redis, performance: Database
) -> None:
    """1,000 at 00:00, a deposit of 500 at 03:00, 1,530 now: the P&L is 30, or 3 %."""
    RecordLog(redis).append([Equity(bot="alpha", timestamp=NOON, equity=1530, currency="EUR")], "test")
    hours = ((-14, 900, 0), (-13, 1000, 0), (-9, 1490, 500), (0, 1530, 0))
    earn(
        performance,
        *(bar("alpha", -hour, close, flow) for hour, close, flow in hours),
    )
    [row] = get_json(client, "/api/monitoring/bots")
    assert (row["dayPnL"], row["dayReturn"], row["currency"]) == (30, 3, "EUR")
    assert len(row["sparkline"]) == 24
    assert row["sparkline"][-1] == 1530
    assert row["sparkline"][9:12] == [900, 1000, None]


def test_a_bot_that_reports_only_its_value_has_a_day_too(
    client: FlaskClient, redis: Redis, performance: Database
) -> None:
    """Without equity records the reported portfolio value counts."""
    RecordLog(redis).append([Performance(bot="alpha", timestamp=NOON, portfolio_value=110)], "test")
    rows = [(-13, 100.0), (-1, 110.0)]
    with performance.write() as connection:
        for hour, value in rows:
            at = to_store(NOON + timedelta(hours=hour))
            known = {"bot": "alpha", "source": "reported", "timestamp": at, "at": at, "portfolioValue": value}
            connection.execute(insert(performance_hours).values(**known))
    [row] = get_json(client, "/api/monitoring/bots")
    assert (row["portfolioValue"], row["dayPnL"], row["source"]) == (110, 10, "reported")
    assert row["dayReturn"] == pytest.approx(10)


def test_a_row_names_the_severity_that_needs_attention(
    client: FlaskClient, redis: Redis, health: Database
) -> None:
    """Acknowledged and muted alerts are counted, but do not call."""
    RecordLog(redis).append([Equity(bot="alpha", timestamp=NOON, equity=1)], "test")
    taken, muted = make_alert(1, "CRITICAL"), make_alert(2, "HIGH")
    taken.status, muted.details.muted_by = "ACKNOWLEDGED", "silenced by bob"
    for alert in (taken, muted, make_alert(3, "LOW"), make_alert(4, "MEDIUM")):
        store_open_alert(health, alert)
    [row] = get_json(client, "/api/monitoring/bots")
    assert (row["activeAlerts"], row["severity"]) == (4, "MEDIUM")


def test_there_is_no_day_without_a_value_before_or_since_midnight() -> None:
    """A guess would be worse than none; an account that began at 0 has a P&L and no return."""
    curve = [StepEquity(2, 0.0, 0.0), StepEquity(5, 50.0, 40.0)]
    assert day_of(curve[:1], 3, 6)[:2] == (None, None)
    assert day_of(curve[1:], 3, 6)[:2] == (None, None)
    assert day_of(curve, 3, 6) == (10.0, None, [None, None, 0.0, None, None, 50.0])
