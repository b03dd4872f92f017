"""Alerts and records that several tests of the dashboard use."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import msgspec
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.runtime.web.problems import problem_body
from shared.schema.alerts import Alert, Details, Severity, build_notice
from shared.schema.timestamps import to_store
from shared.schema.watchdog import LOOPBACK_CHANNEL, watchdog_alert
from shared.store.alerts import add_event, insert_alert, update_alert
from shared.store.database import Database
from shared.store.deliveries import SentDelivery, claim, mark_sent
from shared.store.outbox import PlannedDelivery, add_deliveries
from shared.store.tables import equity_hours, open_positions

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
"""The moment at which every request is answered."""
HOSTILE = '<img src=x onerror="document.title=1">'
"""A name that would run a script where it is not escaped."""


def body(answer: TestResponse) -> Any:
    """Return the JSON of an answer."""
    return answer.get_json()


def problem(status: int, message: str, **further: object) -> Any:
    """Return the JSON of an error."""
    return msgspec.json.decode(problem_body(status, message, **further))


def get_json(client: FlaskClient, path: str) -> Any:
    """Return the JSON of what must be a good answer."""
    answer = client.get(path)
    assert answer.status_code == HTTPStatus.OK
    return body(answer)


def make_alert(number: int, severity: Severity = "HIGH", component: str = "alpha", minutes: int = 5) -> Alert:
    """Return an open alert that began `minutes` before noon."""
    moment = NOON - timedelta(minutes=minutes)
    return Alert(
        id=f"alert-{number}",
        timestamp=moment,
        severity=severity,
        category="PERFORMANCE",
        component=component,
        message="drawdown above 20%",
        status="ACTIVE",
        details=Details(
            rule="drawdown", bot=component, metric="maxDrawdown", value=21, operator=">", threshold=20
        ),
        fingerprint=f"fingerprint-{number}",
        updated_at=moment,
    )


def store_open_alert(database: Database, alert: Alert) -> Alert:
    """Store an alert as the evaluator does: with its event, and a notice for the channel `webhook`."""
    with database.write() as connection:
        insert_alert(connection, alert)
        event = add_event(connection, alert, "opened", alert.timestamp)
        planned = PlannedDelivery("webhook", "default")
        add_deliveries(connection, event, build_notice(alert, "opened"), [planned])
    return alert


def store_watchdog_beat(database: Database, moment: datetime) -> None:
    """Store that the watchdog's beat came through at that moment."""
    alert = watchdog_alert(moment.timestamp(), moment)
    with database.write() as connection:
        insert_alert(connection, alert)
        event = add_event(connection, alert, "repeated", moment)
        add_deliveries(
            connection,
            event,
            build_notice(alert, "repeated"),
            [PlannedDelivery(LOOPBACK_CHANNEL, "the beat")],
        )
        (beat,) = claim(connection, LOOPBACK_CHANNEL, "test", moment)
        mark_sent(connection, [SentDelivery(beat, moment)])


def store_resolved(database: Database, alert: Alert) -> None:
    """Store that an alert is resolved."""
    alert.status, alert.resolved_at, alert.updated_at = "RESOLVED", NOON, NOON
    with database.write() as connection:
        update_alert(connection, alert)
        add_event(connection, alert, "resolved", NOON)


POSITION: dict[str, Any] = {
    "leg": "", "side": "long", "entryPrice": 100, "openedAt": "2026-01-31 11:00:00.000", "markPrice": 110,
    "markAt": "2026-01-31 11:59:00.000", "unrealizedPnL": None, "notional": None, "quoteCurrency": "USDT",
    "contractType": "linear", "multiplier": 1, "fees": 0.1, "funding": 0.2, "margin": 50,
    "liquidationPrice": 88, "foldedQuantity": None, "reportedAt": None, "undefined": None,
    "updatedAt": "2026-01-31 12:00:00.000",
}  # fmt: skip


def hold(database: Database, *rows: dict[str, Any]) -> None:
    """Store open positions, made by `held`."""
    with database.write() as connection:
        connection.execute(open_positions.insert(), [POSITION | row for row in rows])


def held(bot: str, symbol: str, notional: float | None, side: str = "long", **more: Any) -> dict[str, Any]:
    """Return what an open position of quantity 2 has besides `POSITION`."""
    return {"bot": bot, "symbol": symbol, "quantity": 2, "notional": notional, "side": side, **more}


def bar(bot: str, hours_ago: float, close: float, flow: float = 0.0) -> dict[str, Any]:
    """Return a bot's equity of an hour or a minute."""
    figures = dict.fromkeys(("open", "high", "low"), close)
    return {
        "bot": bot, "timestamp": to_store(NOON - timedelta(hours=hours_ago)), **figures, "close": close,
        "netFlow": flow, "drawdown": 0, "lastDrawdown": 0, "peak": close, "points": 1,
    }  # fmt: skip


def earn(database: Database, *bars: dict[str, Any]) -> None:
    """Store hours of equity, made by `bar`."""
    with database.write() as connection:
        connection.execute(equity_hours.insert(), bars)
