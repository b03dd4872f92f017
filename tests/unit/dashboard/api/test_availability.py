"""The availability of checks in the API: windows, bars, outages, and heartbeats with their pings."""

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis

from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import Check, CheckStatus
from shared.store.database import Database
from tests.unit.dashboard.api.test_checks import API, look, roll_up
from tests.unit.dashboard.sample_data import NOON, body, get_json

HOUR_S = 3600


def every_minute(begin: float, end: float, status: CheckStatus = "ok", **further: Any) -> list[Check]:
    """Return a result for each minute from `begin` to before `end`, in hours before now."""
    seconds = range(round(begin * HOUR_S), round(end * HOUR_S), -60)
    return [look(status, ago, interval_seconds=60, **further) for ago in seconds]


@pytest.fixture
def failed(health: Database) -> None:
    """Store a check that began 30 h ago, failed for two hours, was away for one, and works now."""
    roll_up(
        health,
        *every_minute(30, 20),
        *every_minute(20, 18, "critical", reason="refused", text="it refuses connections"),
        *every_minute(17, 0),
        look("ok", 0, interval_seconds=60),
    )


@pytest.mark.usefixtures("failed")
def test_availability_is_up_time_by_known_time(client: FlaskClient, redis: Redis) -> None:
    RecordLog(redis).append([look("ok", 0)], "test")
    found = get_json(client, f"{API}/checks/availability")
    (check,) = found["checks"]
    assert (check["host"], check["check"], check["type"], check["status"]) == (
        "box",
        "binance",
        "exchange",
        "ok",
    )
    assert check["since"] == "2026-01-30T19:00:00Z"
    day, quarter = check["windows"]["24h"], check["windows"]["90d"]
    # A result counts for three minutes: 58 minutes of the hour without results are without data.
    away = 58 * 60
    critical = 2 * HOUR_S + 2 * 60
    assert day["seconds"] == {
        "ok": 24 * HOUR_S - critical - away,
        "warning": 0,
        "critical": critical,
        "unknown": 0,
        "noData": away,
    }
    assert day["availability"] == pytest.approx(100 * (1 - critical / (24 * HOUR_S - away)), abs=1e-4)
    assert quarter["seconds"]["noData"] == 90 * 24 * HOUR_S - 30 * HOUR_S + away
    assert [day["outages"], quarter["outages"]] == [1, 1]


@pytest.mark.usefixtures("failed")
def test_bars_cover_the_window_and_add_up(client: FlaskClient) -> None:
    found = get_json(client, f"{API}/checks/availability?bars=24h")
    (check,) = found["checks"]
    assert found["bars"] == {"24h": {"from": "2026-01-30T12:00:00Z", "step": 1800, "count": 49}}
    bars = check["windows"]["24h"]["bars"]
    assert len(bars) == 49
    assert [sum(bar[place] for bar in bars) for place in range(4)] == [
        check["windows"]["24h"]["seconds"][name] for name in ("ok", "warning", "critical", "unknown")
    ]
    assert bars[8:12] == [[0, 0, 1800, 0]] * 4
    assert check["windows"]["7d"]["bars"] == []


@pytest.mark.usefixtures("failed")
def test_outages_have_begin_end_duration_and_text(client: FlaskClient, health: Database) -> None:
    roll_up(health, look("critical", 30, check="site", text="503"))
    still, ended = get_json(client, f"{API}/checks/outages")["outages"]
    assert (still["check"], still["end"], still["durationSeconds"]) == ("site", None, 30)
    assert ended == {
        "host": "box",
        "check": "binance",
        "begin": "2026-01-30T16:00:00Z",
        "end": "2026-01-30T19:00:00Z",
        "durationSeconds": 3 * HOUR_S,
        "criticalSeconds": 2 * HOUR_S + 120,
        "lastAt": "2026-01-30T17:59:00Z",
        "reason": "refused",
        "text": "it refuses connections",
    }
    path = f"{API}/checks/outages?host=box&check=binance"
    assert get_json(client, f"{path}&from=2026-01-30T18:00:00Z")["outages"] == [ended]
    assert get_json(client, f"{path}&from=2026-01-30T20:00:00Z")["outages"] == []
    assert get_json(client, f"{path}&to=2026-01-30T16:00:00Z")["outages"] == []
    lines = client.get(f"{path}&format=csv").text.splitlines()
    assert lines[0].startswith("host,check,begin,end,durationSeconds")
    assert lines[1].startswith("box,binance,2026-01-30T16:00:00Z,2026-01-30T19:00:00Z,10800")


def test_a_check_that_stopped_has_no_data_and_events_are_never_up(
    client: FlaskClient, redis: Redis, health: Database
) -> None:
    roll_up(health, look("ok", 600, interval_seconds=60), look("ok", 10, check="sudo", type="sudo"))
    RecordLog(redis).append([look("ok", 10, check="sudo", type="sudo")], "test")
    stopped, sudo = get_json(client, f"{API}/checks/availability")["checks"]
    assert (stopped["status"], stopped["since"]) == ("no_data", "2026-01-31T11:53:00Z")
    assert stopped["windows"]["24h"]["availability"] == 100
    assert (sudo["status"], sudo["windows"]["24h"]["availability"]) == ("ok", None)
    assert sudo["windows"]["24h"]["seconds"]["ok"] == 10
    table = client.get(f"{API}/checks/availability?format=csv").text.splitlines()
    assert table[0].startswith("host,check,type,status,since,lastAt,24h.availability,24h.outages,24h.ok")
    assert len(table) == 3


def test_heartbeats_have_their_last_ping_and_the_next_and_pings_page_by_page(
    client: FlaskClient, redis: Redis, health: Database
) -> None:
    known: dict[str, Any] = {"host": "heartbeats", "check": "backup/db", "type": "heartbeat"}
    pings = [look("ok", ago, id=f"ping-{ago}", run_seconds=ago, **known) for ago in (30, 20, 10)]
    latest = look("ok", 5, last_ping_at=NOON - timedelta(seconds=10), next_due_at=NOON, id="5-0", **known)
    roll_up(health, *pings, latest)
    RecordLog(redis).append([latest], "test")
    (heartbeat,) = get_json(client, f"{API}/heartbeats")
    assert (heartbeat["name"], heartbeat["lastPingAt"]) == ("backup/db", "2026-01-31T11:59:50Z")
    assert (heartbeat["nextDueAt"], heartbeat["schedule"]) == ("2026-01-31T12:00:00Z", None)
    first = client.get(f"{API}/heartbeats/backup/db/pings?limit=2")
    assert [ping["runSeconds"] for ping in body(first)] == [10, 20]
    following = first.headers["Link"].partition("<")[2].partition(">")[0]
    assert [ping["runSeconds"] for ping in get_json(client, following)] == [30]
    assert client.get(f"{API}/heartbeats/nightly/pings").status_code == 404
    assert "30" in client.get(f"{API}/heartbeats/backup/db/pings?format=csv").text


@pytest.mark.parametrize(
    "path", ["checks/availability?bars=1h", "checks/outages?from=then", "heartbeats/x/pings?cursor=x"]
)
def test_wrong_questions_are_refused(client: FlaskClient, path: str) -> None:
    assert client.get(f"{API}/{path}").status_code == 400
