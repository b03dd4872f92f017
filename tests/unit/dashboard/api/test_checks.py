"""Checks in the API: how each stands, and how one stood over time."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis

from services.dashboard.app import create_dashboard_app
from services.dashboard.data_sources import DataSources
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import Check, CheckStatus
from shared.store.check_rollups import roll_up_checks
from shared.store.database import Database
from shared.store.records import insert_records
from shared.store.tables import checks
from tests.unit.dashboard.conftest import LINKS, SETTINGS
from tests.unit.dashboard.sample_data import NOON, body, get_json

API = "/api/monitoring"


def look(
    status: CheckStatus = "ok",
    seconds_ago: float = 0,
    host: str = "box",
    check: str = "binance",
    **further: Any,
) -> Check:
    at = NOON - timedelta(seconds=seconds_ago)
    known = {"type": "exchange", "text": f"it is {status}", **further}
    return Check(host=host, check=check, status=status, timestamp=at, **known)


SEEN = [
    look("ok", 90),
    look("critical", 30, reason="refused", text="it refuses connections", check_latency_ms=12.5),
    look("warning", 5, check="site", type="http"),
    look("ok", 5, host="other"),
]


def store(health: Database, *looks: Check) -> None:
    with health.write() as connection:
        insert_records(connection, looks)


def roll_up(health: Database, *looks: Check) -> None:
    with health.write() as connection:
        insert_records(connection, looks)
        roll_up_checks(connection, looks)


def names(found: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    return {host: list(checks) for host, checks in found.items()}


def test_each_check_of_each_host_appears_as_it_was_seen_last(client: FlaskClient, redis: Redis) -> None:
    RecordLog(redis).append(SEEN, "test")
    found = get_json(client, API)["checks"]
    assert names(found) == {"box": ["binance", "site"], "other": ["binance"]}
    refused = found["box"]["binance"]
    assert (refused["status"], refused["text"]) == ("critical", "it refuses connections")
    assert (refused["checkLatencyMs"], refused["ageSeconds"], refused["dnsMs"]) == (12.5, 30, None)
    assert get_json(client, f"{API}/checks") == found


def test_a_failing_check_is_a_reason_of_the_status(client: FlaskClient, redis: Redis) -> None:
    RecordLog(redis).append(SEEN, "test")
    summary = get_json(client, API)["summary"]
    assert summary["status"] == "CRITICAL"
    assert summary["reasons"][0] == "CRITICAL: box: binance: it refuses connections"


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        ("host=box", {"box": ["binance", "site"]}),
        ("type=exchange", {"box": ["binance"], "other": ["binance"]}),
        ("status=critical", {"box": ["binance"]}),
        ("host=other&status=critical", {}),
        ("host=nowhere", {}),
    ],
)
def test_host_type_and_status_choose(
    client: FlaskClient, redis: Redis, query: str, chosen: dict[str, list[str]]
) -> None:
    RecordLog(redis).append(SEEN, "test")
    assert names(get_json(client, f"{API}/checks?{query}")) == chosen


def test_while_redis_is_away_each_check_is_as_it_was_stored_last(
    client_without_redis: FlaskClient, health: Database
) -> None:
    store(health, *SEEN, look("ok", 8 * 86_400, check="given-up"))
    found = get_json(client_without_redis, f"{API}/checks")
    assert names(found) == {"box": ["binance", "site"], "other": ["binance"]}
    assert found["box"]["binance"]["text"] == "it refuses connections"


def test_check_history_has_the_worst_status_and_text_of_each_step(
    client: FlaskClient, health: Database
) -> None:
    store(
        health,
        look("ok", 170, check_latency_ms=10, availability=100),
        look("critical", 160, text="it refuses connections"),
        look("warning", 150, check_latency_ms=30, availability=98),
        look("unknown", 100),
        look("ok", 95, check_latency_ms=20),
        look("critical", 95, check="site"),
        look("critical", 95, host="other"),
        look("ok", 0),
    )
    found = get_json(client, f"{API}/checks/history?host=box&check=binance&from=2026-01-31T11:57:00Z&step=1m")
    points = found.pop("points")
    assert found == {
        "host": "box",
        "check": "binance",
        "from": "2026-01-31T11:57:00Z",
        "to": "2026-01-31T12:01:00Z",
        "step": 60,
        "resolution": "raw",
    }
    assert [list(point.values()) for point in points] == [
        ["2026-01-31T11:57:00Z", "critical", "it refuses connections", 20, 99, 30, None],
        ["2026-01-31T11:58:00Z", "unknown", "it is unknown", 20, None, 20, None],
        ["2026-01-31T12:00:00Z", "ok", "it is ok", None, None, None, None],
    ]


def test_whole_hours_come_from_rollups_that_outlive_the_results(
    client: FlaskClient, health: Database
) -> None:
    roll_up(
        health,
        look("ok", 7300, check_latency_ms=10, certificate_days=9.5),
        look("critical", 7250, text="it refuses connections", certificate_days=9.25),
        look("warning", 7200, check_latency_ms=30, availability=98),
    )
    with health.write() as connection:
        connection.execute(checks.delete())
    path = f"{API}/checks/history?host=box&check=binance&from=2026-01-31T09:00:00Z&step=1h"
    found = get_json(client, path)
    assert found["resolution"] == "hour"
    assert [list(point.values()) for point in found["points"]] == [
        ["2026-01-31T09:00:00Z", "critical", "it refuses connections", 10, None, 10, 9.25],
        ["2026-01-31T10:00:00Z", "warning", "it is warning", 30, 98, 30, None],
    ]


def test_the_place_of_a_check_is_found_and_its_secrets_are_not_shown(
    redis: Redis, performance: Database, health: Database, tmp_path: Path
) -> None:
    section = {"database": "postgresql://watch:hunter2@127.0.0.1/bots", "every": "10s"}
    document = {
        "monitoring": {
            "checks": {"db": section},
            "exchanges": {"kraken": {}},
            "security": {"sudo": {"allow": ["deploy"]}},
            "heartbeats": {"8f2c6b1d9a7e4053c1d2": {"name": "scalper", "period": "1m"}},
        }
    }
    (tmp_path / "health_monitor.json").write_text(json.dumps(document))
    sources = DataSources(redis, performance, health, config=tmp_path)
    asked = create_dashboard_app(SETTINGS, sources, LINKS, lambda: NOON).test_client()
    path = f"{API}/checks/configuration"
    found = get_json(asked, f"{path}?host=box&check=db")
    assert found["place"] == {"file": "health_monitor.json", "path": "monitoring.checks.db"}
    assert found["section"]["every"] == "10s"
    assert "hunter2" not in json.dumps(found)
    places = {
        "host=box&check=kraken-status": "monitoring.exchanges.kraken",
        "host=box&check=sudo": "monitoring.security.sudo",
        "host=heartbeats&check=scalper": "monitoring.heartbeats[0]",
    }
    for query, place in places.items():
        assert get_json(asked, f"{path}?{query}")["place"]["path"] == place
    unknown = get_json(asked, f"{path}?host=box&check=gone")
    assert (unknown["place"], unknown["section"]) == (None, None)
    store_latest = [look(host="box"), look(host="other", check="db")]
    RecordLog(redis).append(store_latest, "test")
    assert get_json(asked, f"{path}?host=other&check=db")["place"] is None, "its document is elsewhere"


def test_a_check_that_never_was_is_404_and_the_known_ones_are_named(
    client: FlaskClient, health: Database
) -> None:
    store(health, *SEEN)
    answer = client.get(f"{API}/checks/history?host=box&check=binanec")
    assert (answer.status_code, body(answer)["checks"]) == (404, ["binance", "site"])


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("checks?type=exchanges", {"type"}),
        ("checks?status=OK&hots=box", {"status", "hots"}),
        ("checks/history", {"host", "check"}),
        ("checks/history?host=box&check=binance&step=1q&from=then", {"step", "from"}),
    ],
)
def test_wrong_questions_are_refused_with_every_fault(
    client: FlaskClient, path: str, wrong: set[str]
) -> None:
    answer = client.get(f"{API}/{path}")
    assert answer.status_code == 400
    assert {fault["path"] for fault in body(answer)["faults"]} == wrong
