"""Rules through the API: what is loaded, states of bots, and trials on the past."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient
from redis import Redis

from services.dashboard.app import create_dashboard_app
from services.dashboard.data_sources import DataSources
from shared.rules.engine import Engine
from shared.rules.rule_index import rule_statuses
from shared.runtime.config.documents import load_documents
from shared.runtime.config.rules import load_rules
from shared.runtime.redis.record_log import RecordLog
from shared.schema import redis_keys
from shared.schema.records import AnyRecord, Health, Performance
from shared.schema.timestamps import epoch_ms
from shared.store.alerts import insert_alert
from shared.store.database import Database
from shared.store.rule_state import save_rule_states
from tests.unit.dashboard.conftest import LINKS, SETTINGS
from tests.unit.dashboard.sample_data import NOON, body, get_json, make_alert

PATH = "/api/monitoring/rules"
DRAWDOWN = {
    "name": "drawdown", "metricName": "maxDrawdown", "operator": ">", "threshold": 20, "severity": "HIGH",
    "for": "5m", "levels": [{"threshold": 30, "severity": "CRITICAL"}], "runbook": "max-drawdown",
}  # fmt: skip
TYPO = {"name": "typo", "metricName": "maxDrawdwn", "operator": ">", "threshold": 1, "severity": "LOW"}
CONDITIONS = [{"name": "off", "enabled": False, "kind": "absence", "metricName": "fill", "period": "1h",
               "severity": "LOW"}, DRAWDOWN, TYPO]  # fmt: skip
DOCUMENTS = {
    "performance_logger.json": {"alerting": {"conditions": CONDITIONS}},
    "health_monitor.json": {"monitoring": {"thresholds": {"cpu": {"warning": 70, "critical": 90}}}},
    "notifications.yml": {
        "maintenance": [
            {"name": "nights", "match": {"alertname": "draw*"}, "cron": "0 2 * * *", "duration": "1h"},
            {"name": "others", "match": {"alertname": "host-*"}, "cron": "0 2 * * *", "duration": "1h"},
        ]
    },
}


def evaluated_sources(
    redis: Redis, performance: Database, health: Database, folder: Path, now: datetime
) -> DataSources:
    """Return sources with documents in `folder`, whose evaluator has seen three bots and a host by `now`."""
    for name, document in DOCUMENTS.items():
        (folder / name).write_text(json.dumps(document))
    rules = load_rules(load_documents(folder))
    engine = Engine(rules)
    for minutes, drawdowns in ((15, {"calm": 3.0, "bad": 31.0}), (8, {"bad": 33.0}), (2, {"soon": 25.0})):
        at = now - timedelta(minutes=minutes)
        records: list[AnyRecord] = [
            Performance(bot=bot, portfolio_value=1.0, max_drawdown=value, timestamp=at)
            for bot, value in drawdowns.items()
        ]
        for _ in engine.process([*records, Health(host="box", cpu_usage=10.0, timestamp=at)], epoch_ms(at)):
            pass
    changed = engine.changed()
    alert = make_alert(1, component="bad")
    alert.timestamp = alert.updated_at = now - timedelta(minutes=5)
    with health.write() as connection:
        save_rule_states(connection, changed.kept, changed.gone)
        insert_alert(connection, alert)
    silent = Performance(bot="silent", portfolio_value=1.0, timestamp=now)
    RecordLog(redis).append([silent], "http")
    redis.set(redis_keys.RULES, msgspec.json.encode(rule_statuses(rules, engine.states)))
    return DataSources(redis, performance, health, config=folder)


@pytest.fixture
def asking(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> FlaskClient:
    """Return a client of a dashboard with these sources."""
    sources = evaluated_sources(redis, performance, health, tmp_path, NOON)
    return create_dashboard_app(SETTINGS, sources, LINKS, lambda: NOON).test_client()


def test_loaded_rules_say_what_they_do_and_where_they_are_configured(asking: FlaskClient) -> None:
    """Conditions in words, the place in the file, the states of all bots, and how often each fired."""
    drawdown, typo, *others = get_json(asking, PATH)
    assert drawdown["levels"] == [
        "HIGH if Drawdown max > 20%, for 5m", "CRITICAL if Drawdown max > 30%, for 5m",
    ]  # fmt: skip
    assert drawdown["place"] == {"file": "performance_logger.json", "path": "alerting.conditions[1]"}
    assert drawdown["states"] == {"firing": 1, "pending": 1, "ok": 1, "noData": 0}
    assert drawdown["fired"] == {"day": 1, "week": 1, "month": 1}
    assert (drawdown["severity"], drawdown["for"], drawdown["runbook"]) == ("CRITICAL", "5m", "max-drawdown")
    assert typo["neverSeen"] == ["maxDrawdwn"]
    assert "did you mean `maxDrawdown`" in typo["warning"]
    by_name = {one["name"]: one for one in others}
    cpu = by_name["host-cpu"]
    assert cpu["place"] == {"file": "health_monitor.json", "path": "monitoring.thresholds.cpu"}
    assert cpu["levels"][0] == "MEDIUM if CPU > 70% (clears at 65%), for 5m".replace(">", ">=")
    assert by_name["process-down"]["place"] is None
    rows = asking.get(f"{PATH}?format=csv").get_data(as_text=True).splitlines()
    assert rows[1].startswith("drawdown,")


def test_a_rule_says_how_each_bot_stands(asking: FlaskClient) -> None:
    """Firing with its alert, pending with the time at which it fires, ok, and no data."""
    rule = get_json(asking, f"{PATH}/drawdown")
    bad, soon, calm, silent = rule["subjectStates"]
    assert [one["state"] for one in rule["subjectStates"]] == ["firing", "pending", "ok", "no data"]
    assert (bad["severity"], bad["limit"], bad["value"], bad["alert"]) == ("CRITICAL", 30, 33, "alert-1")
    assert (soon["since"], soon["firesAt"]) == ("2026-01-31T11:58:00Z", "2026-01-31T12:03:00Z")
    assert (soon["limit"], soon["severity"], calm["value"]) == (20, "HIGH", 3)
    assert (soon["valueText"], soon["limitText"]) == ("25.0%", "20.0%")
    assert (silent["bot"], silent["value"]) == ("silent", None)
    assert json.loads(rule["written"]) == DRAWDOWN
    assert [(one["name"], one["isActive"]) for one in rule["mutes"]] == [("nights", False)]
    unknown = asking.get(f"{PATH}/drawdwn")
    assert (unknown.status_code, body(unknown)["error"]) == (
        404, "no rule 'drawdwn'; did you mean `drawdown`?",
    )  # fmt: skip


def test_a_built_in_rule_is_shown_as_a_condition(asking: FlaskClient) -> None:
    """The condition replaces the rule unchanged."""
    rule = get_json(asking, f"{PATH}/host-cpu")
    assert json.loads(rule["written"]) == {
        "name": "host-cpu", "metricName": "cpuUsage", "operator": ">=", "threshold": 70.0,
        "clearThreshold": 65.0, "severity": "MEDIUM", "for": "5m", "category": "RESOURCE",
        "levels": [{"threshold": 90.0, "severity": "CRITICAL", "clearThreshold": 85.0}],
        "description": "CPU at {valueText} (limit {limitText})", "runbook": "host-cpu",
    }  # fmt: skip


def test_a_trial_is_requested_and_read(asking: FlaskClient, redis: Redis) -> None:
    """A newer trial cancels the one that waits; the jobs part is asked to run it."""
    first = asking.post(f"{PATH}/try", json={"rule": "drawdown"})
    assert (first.status_code, first.headers["Location"]) == (202, f"{PATH}/try/{body(first)['id']}")
    assert redis.smembers(redis_keys.JOB_REQUESTS) == {b"rule-trials"}
    draft = "metricName: maxDrawdown\noperator: '>'\nthreshold: 25\nseverity: LOW\n"
    second = body(asking.post(f"{PATH}/try", json={"draft": draft, "days": 7}))
    assert (second["rule"], second["isDraft"], second["days"]) == ("maxDrawdown-above-25", True, 7)
    states = [get_json(asking, f"{PATH}/try/{one['id']}") for one in (body(first), second)]
    assert [(one["status"], one["error"]) for one in states] == [
        ("cancelled", "a newer trial was started"), ("waiting", None),
    ]  # fmt: skip
    assert asking.get(f"{PATH}/try/other").status_code == 404


@pytest.mark.parametrize(
    ("sent", "path", "message"),
    [
        ({"draft": "metricName: [", "days": 1}, "$.draft", "line 2, column 1: "),
        ({"draft": "[]"}, "$.draft", "expected one condition"),
        (
            {"draft": "metricName: x\noperator: '>'\nseverity: LOW"},
            "$.draft",
            "a threshold needs it",
        ),
        ({"draft": "{metricName: x, severty: LOW}"}, "$.draft.severty", "did you mean `severity`"),
        ({"rule": "drawdown", "days": 91}, "$.days", "90"),
        ({"rule": "drawdown", "draft": "{}"}, "$", "exactly one of `rule` and `draft`"),
    ],
)
def test_an_invalid_trial_is_refused_with_its_faults(
    asking: FlaskClient, sent: dict[str, Any], path: str, message: str
) -> None:
    answer = asking.post(f"{PATH}/try", json=sent)
    faults = body(answer)["faults"]
    assert answer.status_code == 400
    assert any(fault["path"].startswith(path) and message in fault["message"] for fault in faults), faults
