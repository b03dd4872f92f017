"""Channels over HTTP: their state, their deliveries, and a test through one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient
from redis import Redis

from services.dashboard.api import channels as api
from services.dashboard.app import create_dashboard_app
from services.dashboard.data_sources import DataSources
from shared.runtime.redis.channel_tests import FAILED, TestRequest, TestResult, reply_key
from shared.schema.alerts import build_notice
from shared.schema.channel_status import ChannelStatus, ChannelStatuses
from shared.schema.redis_keys import CHANNEL_TESTS, CHANNELS
from shared.store.alerts import add_event, insert_alert
from shared.store.database import Database
from shared.store.deliveries import SentDelivery, claim, mark_failed, mark_sent
from shared.store.outbox import PlannedDelivery, add_deliveries
from tests.unit.dashboard.conftest import LINKS, SETTINGS
from tests.unit.dashboard.sample_data import NOON, body, get_json, make_alert
from tests.unit.dashboard.signed_in import ORIGIN, RestrictedDashboard

CHANNELS_URL = "/api/monitoring/channels"
TEXT = """
channels:
  ops: { url: "${ALERT_OPS}", type: slack, fallback: desk }
  desk: { url: "https://desk.example/secret", type: webhook }
  dark: { url: "${ALERT_DARK}" }
  bare: {}
people:
  ann: { contacts: [ops] }
rotations:
  week: { people: [ann], begins: 2026-01-05 }
policies:
  page: { steps: [{ notify: [week] }] }
routes:
  - { name: night, policy: page, routes: [{ match: { severity: LOW }, channels: [desk] }] }
"""
OPS = ChannelStatus(
    name="ops",
    type="slack",
    destination="hooks.slack.com",
    activity="paused",
    paused_until=NOON + timedelta(seconds=8),
    failing_since=NOON - timedelta(minutes=2),
    error="receiver returned 503 Service Unavailable",
    per_minute=30,
)
DESK = ChannelStatus(name="desk", type="webhook", destination="desk.example", activity="idle")


def publish(redis: Redis, *statuses: ChannelStatus, ago: float = 0) -> None:
    """Publish statuses as the notifier does."""
    at = NOON - timedelta(seconds=ago)
    redis.set(CHANNELS, msgspec.json.encode(ChannelStatuses(at=at, channels=list(statuses))))


@pytest.fixture
def asking(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> FlaskClient:
    """Return a client of a dashboard with channels."""
    (tmp_path / "notifications.yml").write_text(TEXT)
    (tmp_path / "health_monitor.json").write_text('{"alerts": {"webhookUrl": "${ALERT_WEBHOOK:-}"}}')
    publish(redis, OPS, DESK)
    sources = DataSources(redis, performance, health, config=tmp_path)
    return create_dashboard_app(SETTINGS, sources, LINKS, lambda: NOON).test_client()


def deliver(health: Database, number: int, channel: str, outcome: str = "") -> None:
    """Write a delivery of an alert of its own, and its outcome: an error, an answer, or none."""
    alert, at = make_alert(number), NOON + timedelta(minutes=number)
    with health.write() as connection:
        insert_alert(connection, alert)
        event = add_event(connection, alert, "opened", at)
        notice = msgspec.structs.replace(build_notice(alert, "opened"), updated_at=at)
        add_deliveries(connection, event, notice, [PlannedDelivery(channel, "routes[0]")])
        if outcome:
            delivery = claim(connection, channel, "here", at)[-1]
            if outcome.startswith("receiver"):
                mark_failed(connection, delivery, outcome)
            else:
                mark_sent(connection, [SentDelivery(delivery, at, outcome)])


def listed(client: FlaskClient) -> dict[str, Any]:
    return {channel["name"]: channel for channel in get_json(client, CHANNELS_URL)["channels"]}


def test_state(asking: FlaskClient, health: Database) -> None:
    """What the notifier publishes, what was delivered, and which routes lead there; no secret."""
    deliver(health, 1, "ops", "200 OK")
    deliver(health, 2, "ops", "receiver returned 404")
    deliver(health, 3, "ops")
    answer = asking.get(CHANNELS_URL)
    assert "secret" not in answer.text
    found = body(answer)
    assert (found["notifier"], found["publishedAt"]) == ("running", "2026-01-31T12:00:00Z")
    channels = listed(asking)
    assert [*channels] == ["webhook", "ops", "desk", "dark", "bare"]
    ops = channels["ops"]
    assert (ops["enabled"], ops["state"], ops["type"], ops["destination"]) == (
        True,
        "paused",
        "slack",
        "hooks.slack.com",
    )
    assert (ops["pausedUntil"], ops["failingSince"]) == ("2026-01-31T12:00:08Z", "2026-01-31T11:58:00Z")
    assert (ops["error"], ops["fallback"], ops["perMinute"]) == (OPS.error, "desk", 30)
    assert (ops["pending"], ops["lastSuccessAt"]) == (1, "2026-01-31T12:01:00Z")
    assert (ops["lastError"], ops["lastErrorAt"]) == ("receiver returned 404", "2026-01-31T12:02:00Z")
    assert ops["place"] == {"file": "notifications.yml", "path": "channels.ops"}
    assert ops["routes"] == [
        {
            "name": "night",
            "place": {"file": "notifications.yml", "path": "routes[0]"},
            "via": ["policy page", "rotation week", "ann"],
        },
        {"name": "default", "place": None, "via": []},
    ]
    assert [(route["name"], route["via"][-1:]) for route in channels["desk"]["routes"]] == [
        ("night", ["fallback of ops"]),
        ("routes[0].routes[0]", []),
        ("default", ["fallback of ops"]),
    ]


def test_disabled(asking: FlaskClient, redis: Redis) -> None:
    """A channel that is disabled says why, by the name of the variable; never by its default."""
    channels = listed(asking)
    assert {name: channel["disabledBecause"] for name, channel in channels.items()} == {
        "webhook": "no address: ${ALERT_WEBHOOK} is not set for the notifier",
        "ops": None,
        "desk": None,
        "dark": "no address: ${ALERT_DARK} is not set for the notifier",
        "bare": "no address is configured",
    }
    assert channels["dark"]["state"] == "disabled"
    assert channels["webhook"]["place"] == {"file": "health_monitor.json", "path": "alerts.webhookUrl"}
    redis.delete(CHANNELS)
    unknown = listed(asking)["dark"]
    assert (unknown["enabled"], unknown["state"], unknown["disabledBecause"]) == (None, "unknown", None)
    assert get_json(asking, CHANNELS_URL)["notifier"] == "unknown"
    publish(redis, OPS, ago=30)
    assert get_json(asking, CHANNELS_URL)["notifier"] == "not running"
    stale = listed(asking)["ops"]
    assert (stale["enabled"], stale["state"], stale["destination"]) == (True, "unknown", "hooks.slack.com")


def test_deliveries(asking: FlaskClient, health: Database) -> None:
    """The newest first, page by page while more are written, with error, answer and alert."""
    for number, outcome in enumerate(["200 OK: ok", "receiver returned 404", "", "200 OK", "200 OK"]):
        deliver(health, number, "ops", outcome)
    deliver(health, 9, "desk", "200 OK")
    url = f"{CHANNELS_URL}/ops/deliveries"
    first = asking.get(f"{url}?limit=2")
    assert [row["alertId"] for row in body(first)] == ["alert-4", "alert-3"]
    deliver(health, 10, "ops")
    link = first.headers["Link"]
    assert link.endswith('; rel="next"')
    second = asking.get(link[1 : link.index(">")])
    assert [row["alertId"] for row in body(second)] == ["alert-2", "alert-1"]
    assert body(second)[1]["lastError"] == "receiver returned 404"
    [oldest] = get_json(asking, f"{url}?alert=alert-0")
    assert (oldest["state"], oldest["response"], oldest["attempts"], oldest["reason"]) == (
        "SENT",
        "200 OK: ok",
        1,
        "routes[0]",
    )
    assert (oldest["severity"], oldest["message"], oldest["nextAttemptAt"]) == (
        make_alert(0).severity,
        make_alert(0).message,
        None,
    )
    assert len(get_json(asking, f"{url}?state=SENT&since=2026-01-31T12:03:00Z")) == 2
    assert "Link" not in asking.get(f"{url}?limit=6").headers


def test_deliveries_as_csv(asking: FlaskClient, health: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """CSV has all rows that match, however many."""
    monkeypatch.setattr(api, "CSV_BATCH", 2)
    for number in range(5):
        deliver(health, number, "ops", "200 OK")
    answer = asking.get(f"{CHANNELS_URL}/ops/deliveries?format=csv&state=SENT")
    lines = answer.text.splitlines()
    assert lines[0].startswith("id,channel,alertId,severity,component,message,change,state,attempts,reason")
    assert [line.split(",")[2] for line in lines[1:]] == [f"alert-{number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize("query", ["state=sent", "change=x", "cursor=x", "since=now", "limit=0", "chanel=x"])
def test_wrong_filter(asking: FlaskClient, query: str) -> None:
    """A wrong parameter is refused by name."""
    answer = asking.get(f"{CHANNELS_URL}/ops/deliveries?{query}")
    assert (answer.status_code, query.partition("=")[0] in answer.text) == (400, True)


def test_unknown_channel(asking: FlaskClient, health: Database) -> None:
    """404 with the nearest name; a channel that was removed keeps its history."""
    answer = asking.get(f"{CHANNELS_URL}/opps/deliveries")
    assert answer.status_code == 404
    assert "did you mean `ops`?" in answer.text
    deliver(health, 1, "gone", "200 OK")
    assert len(get_json(asking, f"{CHANNELS_URL}/gone/deliveries")) == 1


@contextmanager
def notifier(redis: Redis, result: TestResult) -> Iterator[list[str | None]]:
    """Answer the next test as the notifier does; yield the names of the channels that are asked for."""
    asked: list[str | None] = []

    def answer() -> None:
        found = redis.blpop([CHANNEL_TESTS], timeout=10)
        assert found
        request = msgspec.json.decode(found[1], type=TestRequest)
        asked.append(request.channel)
        redis.rpush(reply_key(request.id), msgspec.json.encode(result))

    thread = threading.Thread(target=answer)
    thread.start()
    yield asked
    thread.join()


def audited(client: FlaskClient) -> list[tuple[str, str]]:
    entries = get_json(client, "/api/monitoring/audit?action=notify.test")["entries"]
    return [(entry["target"], entry["outcome"]) for entry in entries]


def test_a_test(asking: FlaskClient, redis: Redis) -> None:
    """The answer of the receiver, or why it was not delivered; each test is in the audit log."""
    with notifier(redis, TestResult("…", destination="hooks.slack.com", response="200 OK: ok")) as asked:
        delivered = asking.post(f"{CHANNELS_URL}/ops/test")
    assert asked == ["ops"]
    assert delivered.status_code == 200
    assert body(delivered) == {
        "channel": "ops",
        "delivered": True,
        "destination": "hooks.slack.com",
        "response": "200 OK: ok",
        "error": None,
        "reason": None,
    }
    failure = TestResult("…", "receiver returned 404 (refused)", FAILED, "desk.example", reason="refused")
    with notifier(redis, failure):
        failed = body(asking.post(f"{CHANNELS_URL}/desk/test"))
    assert (failed["delivered"], failed["error"], failed["reason"]) == (
        False,
        "receiver returned 404 (refused)",
        "refused",
    )
    assert audited(asking) == [("desk", "failed"), ("ops", "ok")]


def test_no_test(asking: FlaskClient, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown, disabled, and a notifier that is silent or not running are errors of their own."""
    monkeypatch.setattr(api, "TEST_TIMEOUT_S", 0.1)
    assert asking.post(f"{CHANNELS_URL}/opps/test").status_code == 404
    disabled = asking.post(f"{CHANNELS_URL}/dark/test")
    assert (disabled.status_code, body(disabled)["detail"]) == (
        409,
        "channel 'dark' is disabled: no address: ${ALERT_DARK} is not set for the notifier",
    )
    silent = asking.post(f"{CHANNELS_URL}/ops/test")
    assert (silent.status_code, body(silent)["detail"]) == (
        504,
        "the running notifier did not respond within 0.1 s; see its log and `botwatch doctor`",
    )
    assert audited(asking) == [("ops", "failed")]
    publish(redis, OPS, ago=30)
    gone = asking.post(f"{CHANNELS_URL}/ops/test")
    assert (gone.status_code, body(gone)["detail"]) == (
        504,
        "the notifier is not running; see its log and `botwatch doctor`",
    )


def test_too_many_tests(asking: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that are waiting do not take all threads of the page."""
    release, waiting = threading.Event(), threading.Semaphore(0)

    def wait(*_: object) -> TestResult:
        waiting.release()
        release.wait(10)
        return TestResult()

    monkeypatch.setattr(api, "request_channel_test", wait)
    url = f"{CHANNELS_URL}/ops/test"
    threads = [threading.Thread(target=asking.application.test_client().post, args=[url]) for _ in range(2)]
    for thread in threads:
        thread.start()
        assert waiting.acquire(timeout=10)
    refused = asking.post(url)
    release.set()
    for thread in threads:
        thread.join()
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")


def test_only_operators(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> None:
    """A viewer sees the channels and may not test one."""
    dashboard = RestrictedDashboard(redis, (performance, health), tmp_path)
    viewer, operator = dashboard.browser("vera"), dashboard.browser("olga")
    assert viewer.get(CHANNELS_URL).status_code == 200
    assert viewer.post(f"{CHANNELS_URL}/ops/test", headers=ORIGIN).status_code == 403
    assert operator.post(f"{CHANNELS_URL}/ops/test", headers=ORIGIN).status_code == 404
