"""Alerts that are posted: stored once, with the life cycle of any other alert."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import event

from services.dashboard.app import create_dashboard_app
from services.dashboard.data_sources import DataSources
from shared.runtime.redis.wake import wait_for_wake
from shared.schema import redis_keys
from shared.schema.timestamps import to_wire
from shared.store import alerts as store
from shared.store import external_alerts
from shared.store.database import Database
from tests.unit.dashboard.conftest import LINKS, SETTINGS
from tests.unit.dashboard.sample_data import NOON, body, get_json, make_alert, store_open_alert

ALERTS = "/alertmanager/api/v2/alerts"
LABELS = {"alertname": "DiskFull", "severity": "critical", "instance": "db1:9100"}
MINUTE = timedelta(minutes=1)

At = Callable[..., FlaskClient]


@pytest.fixture
def at(redis: Redis, performance: Database, health: Database) -> At:
    """Return the client of a dashboard so many minutes after noon."""

    def client(minutes: float = 0, config: Path | None = None) -> FlaskClient:
        sources = DataSources(redis, performance, health, config=config)
        return create_dashboard_app(SETTINGS, sources, LINKS, lambda: NOON + minutes * MINUTE).test_client()

    return client


def post(client: FlaskClient, **fields: Any) -> None:
    answer = client.post(ALERTS, json=[{"labels": LABELS} | fields])
    assert (answer.status_code, answer.data) == (200, b"")


def changes(health: Database) -> list[str]:
    """Return the timeline of the only alert."""
    with health.read() as connection:
        (alert,) = store.list_alerts(connection, limit=10)
        return [one["change"] for one in store.timeline(connection, alert.id)]


def test_an_alert_is_stored_told_and_published(at: At, redis: Redis) -> None:
    client = at()
    redis.delete(redis_keys.WAKE)
    post(client, annotations={"summary": "Disk full"})
    (alert,) = get_json(client, "/api/monitoring/alerts")
    assert (alert["severity"], alert["message"], alert["status"]) == ("CRITICAL", "Disk full", "ACTIVE")
    assert alert["details"]["labels"] == LABELS
    assert wait_for_wake(redis, 0.01)
    assert redis.hexists(redis_keys.ALERTS_OPEN, alert["id"])


def test_sending_it_again_extends_it_and_writes_nothing_else(at: At, health: Database) -> None:
    post(at(0))
    statements: list[str] = []
    listen = lambda *call: statements.append(call[2])  # noqa: E731
    event.listen(health.engine, "before_cursor_execute", listen)
    post(at(1))
    event.remove(health.engine, "before_cursor_execute", listen)
    assert [text.split()[:3] for text in statements if text.startswith(("INSERT", "UPDATE"))] == [
        ["INSERT", "INTO", "external_alerts"]
    ]
    assert changes(health) == ["opened"]
    (shown,) = get_json(at(5.5), ALERTS)
    assert (shown["endsAt"], shown["updatedAt"]) == ("2026-01-31T12:06:00.000Z", "2026-01-31T12:01:00.000Z")
    assert get_json(at(6), ALERTS) == []


def test_two_replicas_make_one_alert(at: At) -> None:
    client = at()
    alert = {"labels": LABELS}
    answer = client.post(
        ALERTS, json=[alert | {"generatorURL": "http://one"}, alert | {"generatorURL": "http://two"}]
    )
    assert answer.status_code == 200
    (shown,) = get_json(client, ALERTS)
    assert shown["generatorURL"] == "http://two"


def test_resolving_reopening_and_repeats(at: At, health: Database) -> None:
    post(at(0), startsAt="2026-01-31T11:59:00Z")
    over = {"startsAt": "2026-01-31T11:59:00Z", "endsAt": "2026-01-31T12:00:30Z"}
    for minutes in (1, 2, 3):
        post(at(minutes), **over)
    assert changes(health) == ["opened", "resolved"]
    with health.read() as connection:
        (alert,) = store.list_alerts(connection, limit=10)
    assert alert.resolved_at == NOON + MINUTE / 2
    post(at(4), startsAt="2026-01-31T12:03:00Z")
    post(at(4.5), **over)
    assert changes(health) == ["opened", "resolved", "reopened"]
    assert get_json(at(4.5), ALERTS)[0]["startsAt"] == "2026-01-31T12:03:00.000Z"


def test_a_replica_that_lags_does_not_reopen_what_the_other_one_resolved(at: At, health: Database) -> None:
    start = {"startsAt": "2026-01-31T11:59:00Z"}
    post(at(0), **start)
    post(at(1), **start, endsAt="2026-01-31T12:01:00Z")
    post(at(1.5), **start)
    assert changes(health) == ["opened", "resolved"]
    post(at(2.5), **start)
    assert changes(health) == ["opened", "resolved", "reopened"]


def test_one_that_flaps_stays_open_until_it_has_been_quiet(at: At, health: Database) -> None:
    """As an alert of a rule: opened for the fifth time within an hour, until five minutes after its end."""
    for minute in range(0, 10, 2):
        post(at(minute), startsAt=to_wire(NOON + minute * MINUTE))
        over = {"startsAt": to_wire(NOON + minute * MINUTE), "endsAt": to_wire(NOON + (minute + 1) * MINUTE)}
        post(at(minute + 1), **over)
    expected = ["opened", "resolved", *["reopened", "resolved"] * 3, "flapping"]
    assert changes(health) == expected
    post(at(10), **over)
    (shown,) = get_json(at(10), ALERTS)
    assert shown["endsAt"] == "2026-01-31T12:14:00.000Z"
    with health.write() as connection:
        assert len(external_alerts.end_timed_out(connection, NOON + 14 * MINUTE, NOON)) == 1
    assert changes(health) == [*expected, "resolved"]


def test_the_valid_ones_are_stored_though_others_are_refused(at: At) -> None:
    client = at()
    answer = client.post(ALERTS, json=[{"labels": {}}, {"labels": LABELS}, 7])
    assert (answer.status_code, answer.mimetype) == (400, "application/json")
    assert (
        body(answer) == "alert 0: at least one label pair required; alert 2: expected an object, got number"
    )
    assert len(get_json(client, ALERTS)) == 1


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", "expected an array of alerts: expected JSON, got nothing"),
        (b"{}", "expected an array of alerts: not JSON: Expected `array`, got `object`"),
        (b"[" * 100_000, "expected an array of alerts: nested too deeply"),
    ],
)
def test_a_body_that_is_no_array_is_refused_with_a_json_string(at: At, sent: bytes, said: str) -> None:
    answer = at().post(ALERTS, data=sent)
    assert (answer.status_code, body(answer)) == (400, said)


def test_requests_are_bounded(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    client = at()
    many = client.post(ALERTS, json=[{"labels": {"a": str(n)}} for n in range(2001)])
    assert (many.status_code, body(many)) == (400, "expected at most 2000 alerts, got 2001")
    batch = [{"labels": {"a": str(n)}, "annotations": {"description": "x" * 1000}} for n in range(256)]
    assert client.post(ALERTS, json=batch).status_code == 200
    large = client.post(ALERTS, data=b" " * (4 * 2**20 + 1))
    assert (large.status_code, body(large)[:24]) == (413, "request body is 4194305 ")
    assert client.post("/alertmanager/api/v2/silences", data=b" " * 70_000).status_code == 413
    monkeypatch.setattr(external_alerts, "MAX_OPEN", 257)
    full = client.post(ALERTS, json=[{"labels": {"b": "1"}}, {"labels": {"b": "2"}}, {"labels": {"a": "1"}}])
    assert (full.status_code, body(full)[:28]) == (400, "257 external alerts are open")
    assert len(get_json(client, ALERTS)) == 257


def test_it_opens_muted_where_a_silence_or_another_alert_mutes_it(
    at: At, health: Database, tmp_path: Path
) -> None:
    for name in ("performance_logger.json", "health_monitor.json"):
        (tmp_path / name).write_text("{}")
    inhibit = "inhibit: [{ source: { alertname: drawdown }, target: { alertname: Bot* }, equal: [bot] }]"
    (tmp_path / "notifications.yml").write_text(inhibit)
    store_open_alert(health, make_alert(1))
    client = at(config=tmp_path)
    post(client, labels={"alertname": "BotSlow", "bot": "alpha"})
    post(client, labels={"alertname": "BotSlow", "bot": "beta"})
    found = {
        one["labels"]["bot"]: one["status"] for one in get_json(client, f"{ALERTS}?filter=alertname=BotSlow")
    }
    (source,) = get_json(client, f"{ALERTS}?filter=alertname=drawdown")
    assert found["alpha"] == {
        "state": "suppressed", "silencedBy": [], "inhibitedBy": [source["fingerprint"]], "mutedBy": [],
    }  # fmt: skip
    assert found["beta"]["state"] == "active"
    (muted,) = get_json(client, "/api/monitoring/alerts?rule=BotSlow&bot=alpha")
    assert muted["details"]["mutedBy"] == "inhibited by drawdown on alpha"


def test_alerts_of_rules_are_listed_too(at: At, health: Database) -> None:
    store_open_alert(health, make_alert(1))
    client = at()
    (shown,) = get_json(client, ALERTS)
    assert shown["labels"] == {
        "alertname": "drawdown", "severity": "HIGH", "category": "PERFORMANCE", "component": "alpha",
        "metric": "maxDrawdown", "bot": "alpha",
    }  # fmt: skip
    assert shown["annotations"]["summary"] == "drawdown above 20%"
    assert (shown["endsAt"], shown["receivers"]) == ("2026-01-31T12:05:00.000Z", [{"name": "default"}])


def test_parameters_choose_alerts(at: At) -> None:
    client = at()
    post(client)
    post(client, labels={"alertname": "Other", "severity": "info"})
    matchers = [{"name": "severity", "value": "info", "isRegex": False}]
    fields = {"matchers": matchers, "endsAt": "2026-01-31T13:00:00Z", "startsAt": "2026-01-31T12:00:00Z"}
    silence = client.post("/alertmanager/api/v2/silences", json=fields | {"createdBy": "ann", "comment": ""})
    assert set(body(silence)) == {"silenceID"}

    def names(query: str) -> list[str]:
        return sorted(one["labels"]["alertname"] for one in get_json(client, f"{ALERTS}?{query}"))

    assert names("") == ["DiskFull", "Other"]
    assert names("silenced=false") == ["DiskFull"]
    assert names("active=false") == ["Other"]
    assert names("filter=severity=~c.*&filter=instance!=db2") == ["DiskFull"]
    assert names("receiver=def.*") == ["DiskFull", "Other"]
    assert names("receiver=def") == []
    for query, said in (
        ("active=x", "active: expected"),
        ("filter=x", "bad matcher"),
        ("receiver=(", "failed to"),
    ):
        answer = client.get(f"{ALERTS}?{query}")
        assert (answer.status_code, body(answer).startswith(said)) == (400, True)


def test_groups_are_those_of_the_route(at: At, tmp_path: Path) -> None:
    for name in ("performance_logger.json", "health_monitor.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "notifications.yml").write_text(
        'channels: { desk: { url: "http://127.0.0.1/" } }\n'
        "routes: [{ name: desk, match: { team: blue }, channels: [desk], groupBy: [rule, zone] }]"
    )
    client = at(config=tmp_path)
    for instance in ("b", "a"):
        post(client, labels={"alertname": "Down", "team": "blue", "instance": instance})
    post(client, labels={"alertname": "Alone"})
    alone, group = get_json(client, f"{ALERTS}/groups")
    assert (alone["labels"], alone["receiver"]) == ({"alertname": "Alone"}, {"name": "default"})
    assert (group["labels"], group["receiver"]) == ({"alertname": "Down"}, {"name": "desk"})
    assert [one["labels"]["instance"] for one in group["alerts"]] == ["a", "b"]
    assert len(get_json(client, f"{ALERTS}/groups?receiver=desk")) == 1
    assert get_json(client, "/alertmanager/api/v2/receivers") == [{"name": "default"}, {"name": "desk"}]


def test_while_redis_is_down_it_is_stored_all_the_same(
    client_without_redis: FlaskClient, health: Database
) -> None:
    post(client_without_redis)
    assert changes(health) == ["opened"]


def test_the_ways_of_a_page_know_it_too(at: At) -> None:
    client = at()
    post(client)
    (alert,) = get_json(client, "/api/monitoring/alerts?label=instance=db1:9100")
    taken = client.post(f"/api/monitoring/alerts/{alert['id']}/acknowledge", json={"by": "ann"})
    assert body(taken)["status"] == "ACKNOWLEDGED"
    assert get_json(client, f"/api/monitoring/alerts/{alert['id']}/values")["points"] == []
    assert get_json(client, ALERTS)[0]["status"]["state"] == "active"
