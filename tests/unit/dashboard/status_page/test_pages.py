"""The status page, the same as JSON, and the badges: what strangers see, and what they never do."""

import gzip
from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import insert

from services.dashboard.app import create_dashboard_app
from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from services.dashboard.status_page.pages import BADGE_MAX_AGE_S
from services.dashboard.status_page.status_reader import MAX_AGE
from shared.runtime.redis.presence import EXPECTED_PARTS, PartPresence
from shared.runtime.redis.record_log import RecordLog
from shared.schema.alerts import Alert, External, Severity
from shared.schema.faults import InvalidError
from shared.schema.records import AnyRecord, Check, Equity, Event, Health, Heartbeat, Performance
from shared.schema.redis_keys import PARTS
from shared.schema.timestamps import epoch_ms
from shared.store.database import Database
from shared.store.tables import check_spans
from tests.unit.dashboard.conftest import LINKS
from tests.unit.dashboard.sample_data import HOSTILE, NOON, body, make_alert, store_open_alert, store_resolved
from tests.unit.dashboard.signed_in import COMMAND_TOKEN, RestrictedDashboard

MONEY = "13579.24"
SECRETS = (
    MONEY,
    "13579",
    "13,579",
    "canary-host",
    "canary-text",
    "canary-label",
    "canary-rule",
    "canary-check",
)
"""What must never be seen: values, hosts, texts, labels, and names that hold a limit."""
DAY = timedelta(days=1)
PATHS = ("/status", "/status.json", "/badge/status.svg", "/badge/bots/alpha.svg", "/badge/bots/beta.svg")

Start = Callable[..., FlaskClient]


@pytest.fixture
def start(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> Start:
    """Return the function that starts a dashboard, with access open unless told otherwise."""
    for name in EXPECTED_PARTS:
        part = PartPresence(part=name, host="canary-host", pid=7, started_at=NOON, seen_at=NOON)
        redis.hset(PARTS, name, msgspec.json.encode(part))

    def create(config: Path | None = None, **settings: Any) -> FlaskClient:
        if settings.get("access") == "required":
            del settings["access"]
            return RestrictedDashboard(redis, (performance, health), tmp_path, **settings).browser()
        sources = DataSources(redis, performance, health, config=config)
        return create_dashboard_app(DashboardSettings(**settings), sources, LINKS, lambda: NOON).test_client()

    return create


def append(redis: Redis, *records: AnyRecord) -> None:
    RecordLog(redis).append(list(records), "http")


def check_record(name: str, status: Any = "ok", host: str = "canary-host", kind: Any = "exchange") -> Check:
    return Check(
        host=host, check=name, type=kind, status=status, text="canary-text", timestamp=NOON, labels={}
    )


def bot_records(bot: str, **labels: str) -> list[AnyRecord]:
    money = float(MONEY)
    return [
        Performance(
            bot=bot, timestamp=NOON, portfolio_value=money, total_pnl=money, current_drawdown=7.5,
            labels={"desk": "canary-label", **labels},
        ),
        Equity(bot=bot, timestamp=NOON, equity=money),
        Event(bot=bot, timestamp=NOON, level="info", title="canary-text", text=MONEY),
    ]  # fmt: skip


def money_alert(number: int, severity: Severity = "HIGH", bot: str = "alpha", rule: str = "") -> Alert:
    """Return an alert that is full of money, as a rule without a name makes it."""
    alert = make_alert(number, severity, bot)
    alert.message = f"canary-text: equity {MONEY}"
    alert.comment, alert.assignee = "canary-text", "canary-label"
    alert.details.rule = rule or f"equity-below-{MONEY}"
    alert.details.metric, alert.details.measure = "equity", f"canary-text {MONEY}"
    alert.details.value = alert.details.threshold = float(MONEY)
    alert.details.labels = {"desk": "canary-label"}
    alert.details.links = {"alert": "http://canary-host/"}
    return alert


def host_alert(number: int, check: str = "") -> Alert:
    alert = money_alert(number, "CRITICAL")
    alert.component, alert.details.bot, alert.details.host = "canary-host", None, "canary-host"
    alert.details.rule = "exchange-unreachable" if check else "canary-rule"
    alert.details.labels = {"check": check} if check else {}
    return alert


@pytest.fixture
def canaries(redis: Redis, health: Database) -> None:
    """Store bots, hosts, checks and alerts with values, texts and hosts that must stay inside."""
    append(
        redis,
        *bot_records("alpha"),
        *bot_records("beta"),
        Health(host="canary-host", timestamp=NOON, cpu_usage=13.579),
        check_record("kraken"),
        check_record("canary-check", kind="secret"),
    )
    store_open_alert(health, money_alert(1))
    store_open_alert(health, host_alert(2))
    store_open_alert(health, host_alert(3, "kraken"))
    store_resolved(health, store_open_alert(health, money_alert(4, bot="beta")))


def test_nothing_is_there_unless_it_is_switched_on(start: Start) -> None:
    """404, also for those who may read everything else; badges need the right to read."""
    client = start()
    assert [client.get(path).status_code for path in ("/status", "/status.json")] == [404, 404]
    closed = start(access="required")
    assert [closed.get(path).status_code for path in PATHS] == [404, 404, 401, 401, 401]
    reader = {"Authorization": f"Bearer {COMMAND_TOKEN}"}
    badge = closed.get("/badge/status.svg", headers=reader)
    assert badge.status_code == 200
    assert badge.headers["Cache-Control"] == f"private, max-age={BADGE_MAX_AGE_S}"


@pytest.mark.usefixtures("canaries")
@pytest.mark.parametrize("access", ["open", "required"])
def test_no_figure_host_or_text_leaks(start: Start, access: str) -> None:
    """Not in the page, the JSON, the badges, an error, nor in a header."""
    client = start(access=access, status_page="on", status_page_checks="*")
    for path in (*PATHS, "/badge/bots/canary-host.svg?x", "/status/x"):
        answer = client.get(path)
        shown = answer.text.replace("canary-host: not found", "").replace(">canary-host<", "")
        shown += str(answer.headers)
        assert [secret for secret in SECRETS if secret in shown] == [], path
    found = body(client.get("/status.json"))
    assert [bot["name"] for bot in found["bots"]] == ["alpha", "beta"]
    assert set(found["bots"][0]) == {"name", "state", "alerts", "severity", "since"}
    titles = [(one["kind"], one["name"], one["title"]) for one in found["incidents"]]
    assert titles == [("check", "kraken", "exchange-unreachable"), ("bot", "alpha", "Equity")]
    assert [one["name"] for one in found["recent"]] == ["beta"]
    assert set(found["incidents"][0]) == {
        "kind", "name", "title", "severity", "since", "until", "acknowledged"
    }  # fmt: skip


@pytest.mark.usefixtures("canaries")
def test_money_is_shown_where_it_is_allowed(start: Start) -> None:
    client = start(status_page="on", status_page_money="on")
    found = body(client.get("/status.json"))
    assert found["bots"][0]["money"] == {
        "currency": None, "portfolioValue": 13579.24, "totalPnL": 13579.24, "currentDrawdown": 7.5
    }  # fmt: skip
    assert found["incidents"][0]["text"] == f"canary-text: equity {MONEY}"
    page = client.get("/status").text
    assert "13,579.24" in page
    assert "drawdown 7.5%" in page
    assert "canary-host" not in page


def test_only_what_is_chosen_is_shown(start: Start, redis: Redis, health: Database) -> None:
    """By name and by labels; alerts of other bots count nowhere, and their badge is that of no bot."""
    append(
        redis, *bot_records("a-1", venue="kraken"), *bot_records("a-2", venue="other"), *bot_records("b-1")
    )
    append(redis, check_record("kraken"), check_record("nas", "critical"))
    store_open_alert(health, money_alert(1, "CRITICAL", "b-1"))
    client = start(
        status_page="on",
        status_page_bots="a-*, c",
        status_page_labels="venue=k*",
        status_page_checks="kra*",
    )
    found = body(client.get("/status.json"))
    assert [bot["name"] for bot in found["bots"]] == ["a-1"]
    assert [check["name"] for check in found["checks"]] == ["kraken"]
    assert (found["status"], found["incidents"]) == ("HEALTHY", [])
    hidden, missing = (client.get(f"/badge/bots/{bot}.svg") for bot in ("b-1", "x-1"))
    assert hidden.status_code == missing.status_code == 404
    assert hidden.text.replace("b-1", "x-1") == missing.text
    assert ">ok<" in client.get("/badge/status.svg").text


def test_labels_without_a_value_are_refused(start: Start) -> None:
    with pytest.raises(InvalidError) as raised:
        start(status_page="on", status_page_labels="venue, a=b")
    assert [fault.path for fault in raised.value.faults] == ["STATUS_PAGE_LABELS"]


def test_states_of_bots(start: Start, redis: Redis, health: Database) -> None:
    """Silent, critical, or with an alert; muted alerts do not count, and retired bots are left out."""
    names = ("gone", "bad", "so-so", "muted", "fine", "old")
    append(redis, *(record for bot in names for record in bot_records(bot)))
    append(redis, Heartbeat(bot="old", timestamp=NOON, status="retired"))
    silent = money_alert(1, "HIGH", "gone")
    silent.details.runbook = "bot-silent"
    known = money_alert(3, "MEDIUM", "so-so", rule="drawdown")
    known.status = "ACKNOWLEDGED"
    muted = money_alert(4, "CRITICAL", "muted")
    muted.details.muted_by = "silenced by ann"
    for alert in (silent, money_alert(2, "CRITICAL", "bad"), known, muted):
        store_open_alert(health, alert)
    client = start(status_page="on")
    found = body(client.get("/status.json"))
    states = {bot["name"]: (bot["state"], bot["alerts"]) for bot in found["bots"]}
    assert states == {
        "gone": ("silent", 1), "bad": ("critical", 1), "so-so": ("alert", 1), "muted": ("ok", 0),
        "fine": ("ok", 0),
    }  # fmt: skip
    assert found["status"] == "CRITICAL"
    assert [one["name"] for one in found["incidents"]] == ["bad", "gone", "so-so"]
    assert [one["acknowledged"] for one in found["incidents"]] == [False, False, True]
    texts = {bot: client.get(f"/badge/bots/{bot}.svg").text for bot in ("gone", "bad", "so-so", "fine")}
    for bot, said in {"gone": "silent", "bad": "critical", "so-so": "1 alert", "fine": "ok"}.items():
        assert f"<title>{bot}: {said}</title>" in texts[bot]


def span(check: str, begin: datetime, end: datetime, status: str) -> dict[str, Any]:
    return {
        "host": "canary-host", "check": check, "begin": epoch_ms(begin), "last": epoch_ms(end),
        "until": epoch_ms(end), "status": status, "interval": 60_000, "reason": None, "text": "canary-text",
    }  # fmt: skip


def test_the_history_of_a_check(start: Start, redis: Redis, health: Database) -> None:
    """Availability by day of 90 days; what is not known is no outage, and a moment's outage is not 100%."""
    append(redis, check_record("kraken"))
    midnight = NOON.replace(hour=0)
    with health.write() as connection:
        connection.execute(
            insert(check_spans),
            [
                span("kraken", midnight - 2 * DAY, midnight - 2 * DAY + DAY / 2, "ok"),
                span("kraken", midnight - 2 * DAY + DAY / 2, midnight - DAY, "critical"),
                span("kraken", midnight, NOON - timedelta(seconds=1), "ok"),
                span("kraken", NOON - timedelta(seconds=1), NOON, "critical"),
            ],
        )
    client = start(status_page="on", status_page_checks="*")
    found = body(client.get("/status.json"))
    (check,) = found["checks"]
    assert found["historyFrom"] == "2025-11-03"
    assert check["days"] == [None] * 87 + [50.0, None, 99.997]
    assert check["availability"] == 66.665
    page = client.get("/status").text
    assert "2026-01-29: up 50.00%" in page
    assert "2026-01-31: up 99.99%" in page
    assert "2025-11-03 to 2026-01-28: no data" in page


def test_a_hidden_check_of_the_same_name(start: Start, redis: Redis, health: Database) -> None:
    """A check of security on another host has the name of one that is shown: its alert stays inside."""
    append(redis, check_record("kraken", host="a"), check_record("kraken", kind="secret"))
    store_open_alert(health, host_alert(1, "kraken"))
    client = start(status_page="on", status_page_checks="*")
    found = body(client.get("/status.json"))
    assert (found["incidents"], found["status"], len(found["checks"])) == ([], "HEALTHY", 1)


def test_checks_now(start: Start, redis: Redis, health: Database) -> None:
    """The worst of all hosts; one that has stopped is unknown; a muted one fails as expected."""
    old = check_record("stopped", host="b")
    old.timestamp, old.interval_seconds = NOON - timedelta(minutes=10), 60
    append(redis, old, check_record("kraken"), check_record("kraken", "warning", host="b"))
    append(redis, check_record("muted", "critical"))
    alert = host_alert(1, "muted")
    alert.details.muted_by = "muted by the maintenance window"
    store_open_alert(health, alert)
    client = start(status_page="on", status_page_checks="*")
    found = body(client.get("/status.json"))
    states = {check["name"]: check["status"] for check in found["checks"]}
    assert states == {"kraken": "warning", "muted": "critical", "stopped": "unknown"}
    assert (found["status"], found["incidents"]) == ("WARNING", [])


def test_rules_are_called_by_the_names_that_people_gave(
    start: Start, redis: Redis, health: Database, tmp_path: Path
) -> None:
    """Of the documents, and of a Prometheus; a name that was made up has the limit in it."""
    append(redis, *bot_records("alpha"))
    rule = {"name": "too-deep", "metricName": "currentDrawdown", "operator": ">", "threshold": 5}
    document = {"alerting": {"conditions": [rule | {"severity": "HIGH"}]}}
    (tmp_path / "performance_logger.json").write_bytes(msgspec.json.encode(document))
    posted = money_alert(3, rule="BotIsSlow")
    posted.details.external = External(
        annotations={"summary": MONEY}, generator_url="http://canary-host/", starts_at=NOON
    )
    for alert in (money_alert(1, rule="too-deep"), money_alert(2), posted):
        store_open_alert(health, alert)
    answer = start(config=tmp_path, status_page="on").get("/status.json")
    assert sorted(one["title"] for one in body(answer)["incidents"]) == ["BotIsSlow", "Equity", "too-deep"]
    assert not [secret for secret in SECRETS if secret in answer.text]


def test_planned_maintenance(start: Start, redis: Redis, tmp_path: Path) -> None:
    """What is about all, or about a bot that is shown; not what is about a host or another bot."""
    append(redis, *bot_records("alpha"))
    (tmp_path / "notifications.yml").write_text(
        """
maintenance:
  - { name: all, from: 2026-01-31T11:00:00Z, until: 2026-01-31T13:00:00Z }
  - { name: mine, match: { bot: "al*" }, cron: "0 2 * * *", duration: 1h }
  - { name: other, match: { bot: secret }, cron: "0 2 * * *", duration: 1h }
  - { name: box, match: { host: canary-host }, cron: "0 2 * * *", duration: 1h }
"""
    )
    client = start(config=tmp_path, status_page="on")
    planned = body(client.get("/status.json"))["maintenance"]
    assert [(one["name"], one["start"][:13]) for one in planned] == [
        ("all", "2026-01-31T11"), ("mine", "2026-02-01T02"), ("mine", "2026-02-02T02"),
        ("mine", "2026-02-03T02"),
    ]  # fmt: skip
    page = client.get("/status").text
    assert page.count(">NOW<") == 1
    assert "secret" not in page


def test_an_impaired_botwatch_says_so(start: Start, redis: Redis) -> None:
    """A page that is green because nobody evaluates rules would be a lie."""
    append(redis, *bot_records("alpha"))
    redis.hdel(PARTS, "evaluator")
    client = start(status_page="on")
    found = body(client.get("/status.json"))
    assert (found["impaired"], found["status"]) == (True, "WARNING")
    assert "may be out of date" in client.get("/status").text
    assert ">impaired<" in client.get("/badge/status.svg").text


def test_names_are_escaped(start: Start, redis: Redis) -> None:
    append(redis, *bot_records(HOSTILE))
    page = start(status_page="on", status_page_title=HOSTILE).get("/status").text
    assert "<img" not in page
    assert page.count("&lt;img") == 3


def test_answers_are_cached(start: Start, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """One computation for all visitors; an ETag that stays, and a short life for GitHub's proxy."""
    append(redis, *bot_records("alpha"))
    calls = []
    read = DataSources.read_current

    def count(sources: DataSources, now: datetime) -> Any:
        calls.append(now)
        return read(sources, now)

    monkeypatch.setattr(DataSources, "read_current", count)
    client = start(status_page="on")
    for path in (*PATHS, *PATHS):
        client.get(path)
    assert len(calls) == 1
    first = client.get("/badge/status.svg")
    assert (first.mimetype, first.headers["Cache-Control"]) == ("image/svg+xml", "public, max-age=60")
    again = client.get("/badge/status.svg", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (HTTPStatus.NOT_MODIFIED, b"")
    page = client.get("/status")
    assert page.headers["Cache-Control"] == f"public, max-age={MAX_AGE.seconds}"
    assert page.headers["X-Robots-Tag"] == "noindex"
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self';")
    assert "ws:" not in page.headers["Content-Security-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "<script" not in page.text
    packed = client.get("/status", headers={"Accept-Encoding": "gzip"})
    assert (packed.headers["Content-Encoding"], packed.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(packed.data) == page.data
    assert 'http-equiv="refresh" content="60"' in page.text
    assert "http-equiv" not in client.get("/status?refresh=off").text
    assert client.head("/status").status_code == 200


def test_visitors_are_limited(start: Start) -> None:
    client = start(status_page="on", access="required", api_requests_per_minute=2)
    assert [client.get(path).status_code for path in PATHS[:3]] == [200, 200, 429]


def test_a_database_that_does_not_respond_says_nothing_of_itself(start: Start, health: Database) -> None:
    client = start(status_page="on")
    with health.write() as connection:
        connection.exec_driver_sql("ALTER TABLE alerts RENAME TO elsewhere")
    answer = client.get("/status")
    assert answer.status_code == 503
    assert "alerts" not in answer.text
