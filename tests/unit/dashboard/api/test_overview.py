"""GET /api/monitoring and what is below it that reads figures."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient
from redis import Redis

from services.dashboard.app import create_dashboard_app
from services.dashboard.data_sources import DataSources
from shared.runtime import clock
from shared.runtime.config.documents import AnalyticsSection
from shared.runtime.redis import presence
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.presence import EXPECTED_PARTS, PartPresence, PresencePublisher
from shared.runtime.redis.record_log import RecordLog
from shared.runtime.redis.stream_reader import ensure_group
from shared.schema import redis_keys
from shared.schema.records import AnyRecord, Disk, Equity, Health, Heartbeat, HostRecord, Metric, Performance
from shared.schema.timestamps import epoch_ms, to_wire
from shared.store.database import Database
from shared.store.job_runs import record_start, record_success, set_scheduled
from shared.store.records import insert_records
from shared.store.tables import rates
from tests.support import valkey, wait_until
from tests.unit.dashboard.conftest import LINKS, SETTINGS
from tests.unit.dashboard.sample_data import (
    NOON,
    body,
    get_json,
    make_alert,
    problem,
    store_open_alert,
    store_resolved,
    store_watchdog_beat,
)

SECTIONS = ["timestamp", "summary", "performance", "health", "checks", "alerts", "trends", "system", "page"]


def store(performance: Database, health: Database, *records: AnyRecord) -> None:
    for database, wanted in ((health, True), (performance, False)):
        chosen = [record for record in records if isinstance(record, HostRecord) is wanted]
        with database.write() as connection:
            insert_records(connection, chosen)


def test_before_the_first_record_everything_is_there_and_unknown(client: FlaskClient) -> None:
    answer = client.get("/api/monitoring")
    board = body(answer)
    assert answer.status_code == 200
    assert list(board) == SECTIONS
    assert board["timestamp"] == "2026-01-31T12:00:00Z"
    assert board["summary"] == {
        "status": "UNKNOWN",
        "reasons": ["No records received yet."],
        "bots": 0,
        "hosts": 0,
        "portfolioValue": None,
        "portfolioValueReason": "No bot has a portfolio value yet.",
        "portfolioValues": {},
        "currency": None,
        "rates": {},
        "handled": [],
        "activeAlerts": 0,
        "triggeredAlerts": 0,
        "alertsBySeverity": {"CRITICAL": 0, "HIGH": 0, "MEDIUM": 0, "LOW": 0},
    }
    assert board["system"]["log"] == {"entries": 0, "groups": {}}


def test_the_watchdog_is_heard_and_its_beat_is_in_no_list(client: FlaskClient, health: Database) -> None:
    assert get_json(client, "/api/monitoring")["system"]["watchdog"] == {"heardAt": None}
    store_watchdog_beat(health, NOON - timedelta(seconds=3))
    board = get_json(client, "/api/monitoring")
    assert board["system"]["watchdog"] == {"heardAt": "2026-01-31T11:59:57Z"}
    assert board["alerts"] == {
        "active": [], "recent": [], "counts": {"CRITICAL": 0, "HIGH": 0, "MEDIUM": 0, "LOW": 0}
    }  # fmt: skip
    assert (board["summary"]["activeAlerts"], board["summary"]["bots"]) == (0, 0)
    assert board["summary"]["status"] == "UNKNOWN"
    assert (board["performance"], board["trends"], board["system"]["notifications"]) == ({}, {}, {})
    assert get_json(client, "/api/monitoring/alerts") == []


def test_a_watchdog_that_does_not_run_is_a_missing_part(client: FlaskClient, redis: Redis) -> None:
    RecordLog(redis).append([Health(host="box", timestamp=NOON, system_health="HEALTHY")], "test")
    redis.hdel(redis_keys.PARTS, "watchdog")
    summary = get_json(client, "/api/monitoring")["summary"]
    assert (summary["status"], summary["reasons"]) == ("WARNING", ["Watchdog is not running."])


def test_bots_and_hosts_appear_with_their_latest_record(client: FlaskClient, redis: Redis) -> None:
    RecordLog(redis).append(
        [
            Performance(bot="alpha", timestamp=NOON, portfolio_value=12_500, win_rate=65.2),
            Performance(bot="beta", timestamp=NOON, portfolio_value=500),
            Heartbeat(bot="gamma", timestamp=NOON),
            Health(host="box", timestamp=NOON, system_health="HEALTHY", cpu_usage=7),
        ],
        "test",
    )
    board = get_json(client, "/api/monitoring")
    assert board["summary"]["status"] == "HEALTHY"
    assert (board["summary"]["bots"], board["summary"]["hosts"]) == (3, 1)
    assert board["summary"]["portfolioValue"] == 13_000
    assert board["performance"]["alpha"]["winRate"] == 65.2
    assert board["performance"]["alpha"]["sharpeRatio"] is None
    assert board["performance"]["gamma"]["portfolioValue"] is None
    assert board["health"]["box"]["cpuUsage"] == 7


def test_money_of_several_currencies_is_not_added(
    redis: Redis, performance: Database, health: Database
) -> None:
    """0.5 BTC at 60,000 and 1,000 USDT are 31,000 USDT once the price is known, and no number before."""
    RecordLog(redis).append(
        [
            Equity(bot="coins", timestamp=NOON, equity=0.5, currency="BTC"),
            Performance(bot="coins", timestamp=NOON, portfolio_value=0.5),
            Performance(bot="cash", timestamp=NOON, portfolio_value=1000, source="computed", currency="USDT"),
        ],
        "test",
    )

    def summary(**analytics: str) -> dict[str, Any]:
        section = msgspec.convert(analytics, AnalyticsSection)
        sources = DataSources(redis, performance, health, analytics=section)
        app = create_dashboard_app(SETTINGS, sources, LINKS, lambda: NOON)
        found: dict[str, Any] = get_json(app.test_client(), "/api/monitoring")["summary"]
        return found

    apart = summary()
    assert (apart["portfolioValue"], apart["currency"]) == (None, None)
    assert apart["portfolioValues"] == {"BTC": 0.5, "USDT": 1000}
    assert "Accounts are in BTC, USDT" in apart["portfolioValueReason"]
    assert "No price of BTC/USDT" in summary(reportingCurrency="USDT")["portfolioValueReason"]
    price = {"base": "BTC", "quote": "USDT", "minute": 0, "at": 0, "price": 60_000}
    at = epoch_ms(NOON) - 60_000
    with performance.write() as connection:
        connection.execute(rates.insert(), [price | {"minute": at // 60_000, "at": at}])
    one = summary(reportingCurrency="USDT")
    assert (one["portfolioValue"], one["currency"], one["portfolioValueReason"]) == (31_000, "USDT", None)
    assert one["rates"] == {"BTC": {"rate": 60_000, "at": "2026-01-31T11:59:00Z"}}


def test_alerts_decide_the_status_and_are_listed(client: FlaskClient, health: Database) -> None:
    store_open_alert(health, make_alert(1, "CRITICAL"))
    store_open_alert(health, make_alert(2, "LOW"))
    store_resolved(health, store_open_alert(health, make_alert(3, "HIGH", minutes=1)))
    board = get_json(client, "/api/monitoring")
    assert board["summary"]["status"] == "CRITICAL"
    assert board["summary"]["activeAlerts"] == 2
    assert board["alerts"]["counts"] == {"CRITICAL": 1, "HIGH": 0, "MEDIUM": 0, "LOW": 1}
    assert {alert["id"] for alert in board["alerts"]["active"]} == {"alert-1", "alert-2"}
    assert board["alerts"]["active"][0]["details"]["threshold"] == 20
    assert board["alerts"]["recent"][0]["status"] == "RESOLVED"
    head = get_json(client, "/api/monitoring/summary")
    assert [alert["id"] for alert in head["attention"]] == ["alert-1", "alert-2"]
    for number in range(4, 9):
        store_open_alert(health, make_alert(number, "CRITICAL", minutes=number))
    urgent = [alert["id"] for alert in get_json(client, "/api/monitoring/summary")["attention"]]
    assert urgent == ["alert-4", "alert-1", "alert-5", "alert-6", "alert-7"], "the newest of the most severe"
    assert board["system"]["notifications"] == {"webhook": 3}


def test_trends_cover_the_last_hour_evenly_with_few_points(
    client: FlaskClient, redis: Redis, performance: Database
) -> None:
    points = [
        Equity(bot="alpha", timestamp=NOON - timedelta(seconds=n), equity=1000 + n) for n in range(7200)
    ]
    with performance.write() as connection:
        insert_records(connection, points)
    RecordLog(redis).append(points[:1], "test")
    found = get_json(client, "/api/monitoring")["trends"]["alpha"]
    assert found["portfolioValue"] == found["currentDrawdown"] == []
    line = found["equity"]
    assert 290 <= len(line) <= 302
    assert line[-1] == ["2026-01-31T12:00:00Z", 1000]
    assert "2026-01-31T11:00:00Z" <= line[0][0] < "2026-01-31T11:00:13Z"
    assert line == sorted(line)


def test_trend_omits_undefined_values_and_separates_sources(
    client: FlaskClient, redis: Redis, performance: Database
) -> None:
    at = [NOON - timedelta(seconds=30 * n) for n in range(4)]
    records = [
        Performance(bot="alpha", timestamp=at[3], portfolio_value=90, current_drawdown=1),
        Performance(bot="alpha", timestamp=at[2], portfolio_value=91, current_drawdown=9, source="computed"),
        Performance(bot="alpha", timestamp=at[1], portfolio_value=92, current_drawdown=0),
    ]
    with performance.write() as connection:
        insert_records(connection, records)
    RecordLog(redis).append(records, "test")
    found = get_json(client, "/api/monitoring")["trends"]["alpha"]
    assert [value for _, value in found["portfolioValue"]] == [90, 92]
    assert [value for _, value in found["currentDrawdown"]] == [1, 0]


def test_the_system_shows_parts_the_log_and_the_databases(client: FlaskClient, redis: Redis) -> None:
    log = RecordLog(redis)
    log.append([Heartbeat(bot="alpha", timestamp=NOON)], "test")
    ensure_group(redis, log.stream, "recorder")
    redis.delete("botwatch:parts")
    presence = PresencePublisher(redis, "recorder", None)
    wait_until(lambda: redis.hlen("botwatch:parts"), "the part says that it runs")
    system = get_json(client, "/api/monitoring")["system"]
    presence.close()
    assert system["log"] == {"entries": 1, "groups": {"recorder": {"lag": 1, "pending": 0}}}
    assert system["parts"]["recorder"]["status"] == "up"
    assert set(system["parts"]["recorder"]) == {"status", "host", "pid", "startedAt", "seenAt"}
    assert (system["redis"]["status"], system["redis"]["latencyMs"] > 0) == ("up", True)
    assert system["databases"]["health"]["path"] == "health.db"
    assert system["databases"]["performance"]["bytes"] > 0
    assert system["databases"]["health"]["bytesPerDay"] is None
    assert (system["disk"]["level"], system["disk"]["paused"]) == ("ok", [])


def test_a_part_that_no_longer_says_that_it_runs_is_a_warning(client: FlaskClient, redis: Redis) -> None:
    redis.hset(
        "botwatch:parts",
        "notifier",
        f'{{"part":"notifier","host":"box","pid":7,"startedAt":"{to_wire(NOON - timedelta(hours=1))}",'
        f'"seenAt":"{to_wire(NOON - timedelta(seconds=11))}"}}',
    )
    board = get_json(client, "/api/monitoring")
    assert board["system"]["parts"]["notifier"]["status"] == "gone"
    assert board["summary"]["status"] == "WARNING"
    assert board["summary"]["reasons"] == ["Notifier is not responding (last seen 2026-01-31 11:59:49 UTC)."]


def test_a_part_that_was_stopped_or_never_started_is_a_warning(client: FlaskClient, redis: Redis) -> None:
    RecordLog(redis).append([Heartbeat(bot="alpha", timestamp=NOON)], "test")
    assert get_json(client, "/api/monitoring")["summary"]["status"] == "HEALTHY"
    redis.hdel("botwatch:parts", "evaluator")
    summary = get_json(client, "/api/monitoring")["summary"]
    assert (summary["status"], summary["reasons"]) == ("WARNING", ["Evaluator is not running."])


@pytest.mark.parametrize("path", ["", "/performance", "/health", "/bots", "/alerts"])
def test_without_redis_every_reading_is_answered(client_without_redis: FlaskClient, path: str) -> None:
    assert client_without_redis.get(f"/api/monitoring{path}").status_code == 200


def test_without_redis_the_figures_are_the_stored_ones(
    client_without_redis: FlaskClient, performance: Database, health: Database
) -> None:
    box = Health(
        host="box",
        timestamp=NOON,
        id="h1",
        labels={"zone": "a"},
        disks=[Disk(mount="/", usage=50, total_bytes=10, free_bytes=5)],
        reasons=["why"],
    )
    store(
        performance,
        health,
        Performance(bot="alpha", timestamp=NOON - timedelta(seconds=9), portfolio_value=1),
        Performance(bot="alpha", timestamp=NOON - timedelta(seconds=5), portfolio_value=2, id="p2"),
        Performance(bot="alpha", timestamp=NOON, source="computed", var95=3),
        Equity(bot="beta", timestamp=NOON, equity=7),
        box,
    )
    board = get_json(client_without_redis, "/api/monitoring")
    assert board["system"]["redis"] == {
        "status": "away",
        "latencyMs": None,
        "fault": "Redis is unreachable",
    }
    assert board["system"]["log"] is None
    assert board["summary"]["status"] == "WARNING"
    assert (board["performance"]["alpha"]["portfolioValue"], board["performance"]["alpha"]["var95"]) == (2, 3)
    assert board["performance"]["beta"]["equity"] == 7
    assert board["trends"]["beta"]["equity"] == [["2026-01-31T12:00:00Z", 7]]
    assert board["health"]["box"]["disks"][0]["mount"] == "/"
    assert (board["health"]["box"]["labels"], board["health"]["box"]["reasons"]) == ({"zone": "a"}, ["why"])


def test_a_redis_that_takes_no_writes_is_named_and_no_part_is_blamed(
    client: FlaskClient, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signs of life say nothing then: the one reason is why Redis refuses."""
    monkeypatch.setattr(presence, "INTERVAL_S", 0.02)
    for name in sorted(EXPECTED_PARTS)[::2]:
        long_ago = NOON - timedelta(minutes=1)
        part = PartPresence(part=name, host="box", pid=7, started_at=long_ago, seen_at=long_ago)
        redis.hset(redis_keys.PARTS, name, msgspec.json.encode(part))
    web_part = client.application.extensions["botwatch"]
    web_part.start()
    redis.config_set("maxmemory", 1)
    try:
        expected = ["Redis is out of memory: showing the last stored values."]
        wait_until(lambda: reasons(client) == expected, "the one reason")
        assert get_json(client, "/api/monitoring")["system"]["redis"]["fault"] == "Redis is out of memory"
    finally:
        redis.config_set("maxmemory", 0)
        web_part.close()


def test_how_each_job_last_ran_is_shown(client: FlaskClient, health: Database) -> None:
    """`system.jobs` has when, how long, how it ended, what it did, and when it is due next."""
    due, ended = clock.now() + timedelta(hours=1), clock.now()
    with health.write() as connection:
        set_scheduled(connection, ["retention", "vacuum"], ended)
        record_start(connection, "retention", ended - timedelta(seconds=2))
        record_success(connection, "retention", {"equity": 3}, ended, due)
    jobs = get_json(client, "/api/monitoring")["system"]["jobs"]
    moments = {name: datetime.fromisoformat(jobs["retention"].pop(name)) for name in tuple(jobs["retention"])
               if name.endswith("At")}  # fmt: skip
    assert moments == {
        "startedAt": ended - timedelta(seconds=2),
        "finishedAt": ended,
        "lastSuccessAt": ended,
        "nextDueAt": due,
    }
    assert jobs["retention"] == {
        "status": "ok", "outcome": "success", "durationMs": 2000, "result": {"equity": 3}, "failures": 0,
        "error": None,
    }  # fmt: skip
    assert jobs["vacuum"]["status"] == "pending"


def reasons(client: FlaskClient) -> list[str]:
    found: list[str] = get_json(client, "/api/monitoring")["summary"]["reasons"]
    return found


def test_a_redis_that_wants_a_password_is_not_said_to_be_silent(
    tmp_path: Path, performance: Database, health: Database
) -> None:
    with valkey(tmp_path, None, "--requirepass", "secret") as url, connect_redis(url, retries=0) as redis:
        client = create_dashboard_app(
            SETTINGS, DataSources(redis, performance, health), LINKS, lambda: NOON
        ).test_client()
        (reason,) = reasons(client)
        assert reason == "Redis rejected the user or password of REDIS_URL: showing the last stored values."
        answer = client.get("/api/monitoring/rules")
        assert (answer.status_code, body(answer)["error"]) == (
            503,
            f"{reason.partition(':')[0]}; retry later",
        )


def test_without_redis_a_bot_that_was_given_up_long_ago_does_not_come_back(
    client_without_redis: FlaskClient, performance: Database, health: Database
) -> None:
    store(
        performance,
        health,
        Performance(bot="retired", timestamp=NOON - timedelta(days=8), portfolio_value=1000),
        Performance(bot="alpha", timestamp=NOON, portfolio_value=1),
        Health(host="sold", timestamp=NOON - timedelta(days=8), system_health="CRITICAL"),
    )
    summary = get_json(client_without_redis, "/api/monitoring")["summary"]
    assert (summary["bots"], summary["hosts"], summary["portfolioValue"]) == (1, 0, 1)
    assert summary["status"] == "WARNING"


def test_a_redis_that_lost_its_data_is_helped_out_by_the_store(
    client: FlaskClient, performance: Database, health: Database
) -> None:
    store(performance, health, Equity(bot="alpha", timestamp=NOON, equity=7))
    board = get_json(client, "/api/monitoring")
    assert board["performance"]["alpha"]["equity"] == 7
    assert board["system"]["redis"]["status"] == "up"


def test_performance_of_one_bot_comes_with_its_last_hour(
    client: FlaskClient, redis: Redis, performance: Database
) -> None:
    records = [
        Performance(bot="alpha", timestamp=NOON - timedelta(minutes=n), portfolio_value=n)
        for n in (90, 59, 2, 0)
    ]
    with performance.write() as connection:
        insert_records(connection, records)
    RecordLog(redis).append(records, "test")
    assert set(get_json(client, "/api/monitoring/performance")) == {"alpha"}
    one = get_json(client, "/api/monitoring/performance?bot=alpha")
    assert one["portfolioValue"] == 0
    assert [point["portfolioValue"] for point in one["points"]] == [59, 2, 0]
    assert (one["points"][0]["sharpeRatio"], one["points"][0]["source"]) == (None, "reported")


def test_an_unknown_bot_is_404_and_the_known_ones_are_named(client: FlaskClient, redis: Redis) -> None:
    RecordLog(redis).append([Heartbeat(bot="alpha", timestamp=NOON)], "test")
    answer = client.get("/api/monitoring/performance?bot=alhpa")
    assert answer.status_code == 404
    assert body(answer) == problem(404, "no record of a bot named 'alhpa'", bots=["alpha"])


def test_bots_are_listed_with_what_they_send_and_their_open_alerts(
    client: FlaskClient, redis: Redis, health: Database
) -> None:
    store_open_alert(health, make_alert(1, component="alpha"))
    earlier = NOON - timedelta(seconds=3)
    RecordLog(redis).append(
        [Heartbeat(bot="alpha", timestamp=NOON), Equity(bot="alpha", timestamp=earlier, equity=1)], "test"
    )
    assert get_json(client, "/api/monitoring/bots") == [
        {
            "bot": "alpha",
            "lastSeen": "2026-01-31T12:00:00Z",
            "ageSeconds": 0.0,
            "kinds": {"heartbeat": "2026-01-31T12:00:00Z", "equity": "2026-01-31T11:59:57Z"},
            "retired": False,
            "activeAlerts": 1,
            "severity": "HIGH",
            "labels": {},
            **dict.fromkeys(
                ("currency", "source", "portfolioValue", "dayPnL", "dayReturn", "currentDrawdown")
            ),
            "sparkline": [None] * 24,
        }
    ]


def test_hosts_are_answered_alone(client: FlaskClient, redis: Redis) -> None:
    RecordLog(redis).append([Health(host="box", timestamp=NOON, load1=0.5)], "test")
    box = get_json(client, "/api/monitoring/health")["box"]
    assert (box["load1"], box["cpuUsage"]) == (0.5, None)


def test_pages_of_bots(client: FlaskClient, redis: Redis) -> None:
    """Each page has the next names and says how to go on; the summary is about all bots."""
    records = [Performance(bot=f"b{n}", timestamp=NOON, portfolio_value=1) for n in range(5)]
    RecordLog(redis).append(records, "test")
    names, after = [], ""
    while after is not None:
        board = get_json(client, f"/api/monitoring?limit=2&after={after}")
        assert (board["summary"]["bots"], board["summary"]["portfolioValue"]) == (5, 5)
        names.append(list(board["performance"]))
        after = board["page"]["next"]
    assert names == [["b0", "b1"], ["b2", "b3"], ["b4"]]
    assert client.get("/api/monitoring?limit=0&trends=maybe").status_code == 400


def test_trends_of_many_bots_are_asked_for(client: FlaskClient, redis: Redis, performance: Database) -> None:
    """Past 20 bots the answer has no trends unless it is asked for them, or for those of one bot."""
    point = Equity(bot="b7", timestamp=NOON, equity=3)
    RecordLog(redis).append([point, *(Heartbeat(bot=f"b{n}", timestamp=NOON) for n in range(21))], "test")
    with performance.write() as connection:
        insert_records(connection, [point])
    board = get_json(client, "/api/monitoring")
    assert (board["trends"], board["page"]["trends"]) == ({}, False)
    series = {"equity": [["2026-01-31T12:00:00Z", 3.0]], "portfolioValue": [], "currentDrawdown": []}
    assert get_json(client, "/api/monitoring?trends=true")["trends"]["b7"] == series
    assert get_json(client, "/api/monitoring/trends?bot=b7") == series


def test_a_damaged_database(client: FlaskClient, performance: Database, redis: Redis) -> None:
    """The API answers 503 with a plain reason, and the health of the part is bad."""
    RecordLog(redis).append([Heartbeat(bot="a", timestamp=NOON)], "test")
    path = performance.engine.url.database
    performance.close()
    assert path
    with open(path, "r+b") as file:  # noqa: PTH123
        file.write(b"\xff" * 100_000)
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    answer = client.get("/api/monitoring")
    assert answer.status_code == 503
    assert body(answer)["error"].startswith("a Botwatch database is damaged and must be restored")
    health = client.get("/health")
    assert health.status_code == 503
    assert "damaged" in body(health)["checks"]["performance"]["error"]


def test_metrics_keep_their_labels(client: FlaskClient, redis: Redis) -> None:
    """A metric is the latest of its name, and `series` has each set of labels."""
    made = [
        Metric(
            bot="a", name="spread", value=n, labels={"venue": venue}, timestamp=NOON - timedelta(seconds=n)
        )
        for n, venue in enumerate("xy")
    ]
    RecordLog(redis).append(made, "test")
    spread = get_json(client, "/api/monitoring")["performance"]["a"]["metrics"]["spread"]
    assert spread["value"] == 0
    assert {one["labels"]["venue"]: one["value"] for one in spread["series"]} == {"x": 0, "y": 1}


def test_retired(client: FlaskClient, redis: Redis) -> None:
    """A bot is retired until a record comes that is dated later."""
    earlier = NOON - timedelta(seconds=3)
    log = RecordLog(redis)
    log.append([Equity(bot="a", timestamp=earlier, equity=1)], "test")
    log.append([Heartbeat(bot="a", timestamp=NOON - timedelta(seconds=1), status="retired")], "test")
    bot = get_json(client, "/api/monitoring")["performance"]["a"]
    assert (bot["retired"], bot["lastSeen"]) == (True, "2026-01-31T11:59:57Z")
    log.append([Equity(bot="a", timestamp=NOON, equity=1)], "test")
    assert get_json(client, "/api/monitoring")["performance"]["a"]["retired"] is False
