"""What the dashboard part exports about alerts."""

from datetime import timedelta

import msgspec
import pytest
from flask.testing import FlaskClient

from services.dashboard import prometheus_exporter
from shared.schema.alerts import Alert, Severity
from shared.store.database import Database
from tests.unit.dashboard.sample_data import NOON, make_alert, store_open_alert, store_watchdog_beat


def open_alert(health: Database, number: int, severity: Severity, **details: object) -> Alert:
    """Store an open alert, one minute younger than the number before."""
    alert = make_alert(number, severity)
    alert.timestamp = NOON + timedelta(minutes=number)
    alert.details = msgspec.structs.replace(alert.details, **details)
    return store_open_alert(health, alert)


def firing(client: FlaskClient) -> list[str]:
    lines = client.get("/metrics").text.splitlines()
    return [line for line in lines if line.startswith("botwatch_alert_firing")]


def test_each_rule_that_fires_has_a_sample(client: FlaskClient, health: Database) -> None:
    """Alerts that differ only by further labels share one; the watchdog's beat is no alert."""
    open_alert(health, 1, "HIGH", rule="slippage", bot="a")
    open_alert(health, 2, "HIGH", rule="slippage", bot="a", labels={"symbol": "X"})
    open_alert(health, 3, "LOW", rule="host-disk", bot=None, host="box")
    store_watchdog_beat(health, NOON)
    assert firing(client) == [
        'botwatch_alert_firing{bot="a",host="",rule="slippage",severity="HIGH"} 1.0',
        'botwatch_alert_firing{bot="",host="box",rule="host-disk",severity="LOW"} 1.0',
        "botwatch_alert_firing_dropped 0.0",
    ]


def test_past_the_bound_the_most_severe_and_newest_alerts_have_one(
    client: FlaskClient, health: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prometheus_exporter, "MAX_ALERTS", 2)
    severities: tuple[Severity, ...] = ("LOW", "CRITICAL", "LOW", "LOW")
    for number, severity in enumerate(severities):
        open_alert(health, number, severity, rule=f"rule-{number}", bot="a")
    assert firing(client) == [
        'botwatch_alert_firing{bot="a",host="",rule="rule-1",severity="CRITICAL"} 1.0',
        'botwatch_alert_firing{bot="a",host="",rule="rule-3",severity="LOW"} 1.0',
        "botwatch_alert_firing_dropped 2.0",
    ]
