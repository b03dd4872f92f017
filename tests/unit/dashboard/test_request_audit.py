"""Every administrative request is in the audit log: who, from where, on what, before and after."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import g
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import select

from services.dashboard.app import create_dashboard_app
from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from shared.access.identity import Identity
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import Equity
from shared.store.audit import AuditKeyFile, verify_audit
from shared.store.database import Database
from shared.store.tables import audit_log
from tests.unit.dashboard.conftest import LINKS
from tests.unit.dashboard.sample_data import NOON, make_alert, store_open_alert

SILENCE = {
    "matchers": [{"name": "bot", "value": "a", "isRegex": False, "isEqual": True}],
    "endsAt": "2026-02-01T00:00:00Z",
    "createdBy": "kim",
    "comment": "deploy",
}


def entries(health: Database) -> list[Any]:
    columns = [
        audit_log.c[name] for name in ("action", "by", "address", "subject", "before", "after", "outcome")
    ]
    with health.read() as connection:
        rows = connection.execute(select(*columns).order_by(audit_log.c.id)).mappings().all()
    decoded = [dict(row) for row in rows]
    for row in decoded:
        for name in ("before", "after"):
            row[name] = row[name] and json.loads(row[name])
    return decoded


def test_acknowledged(client: FlaskClient, health: Database, audit_file: AuditKeyFile) -> None:
    """An acknowledgement, by API or signed link, has who, where from, before and after."""
    alert = store_open_alert(health, make_alert(1))
    client.post(f"/api/monitoring/alerts/{alert.id}/acknowledge", json={"by": "kim", "comment": "on it"})
    page = LINKS.acknowledge_url(alert, "lee", NOON).removeprefix("https://botwatch.example")
    seen = client.get(page).text.partition('name="seen" value="')[2].partition('"')[0]
    assert (
        client.post(page, data={"by": "lee", "comment": "", "timeout": "", "seen": seen}).status_code == 200
    )
    first, second = entries(health)
    assert (first["action"], first["by"], first["address"], first["subject"]) == (
        ("alert.acknowledge", "kim", "127.0.0.1", alert.id)
    )
    assert (first["before"]["status"], first["after"]["status"]) == ("ACTIVE", "ACKNOWLEDGED")
    assert (second["by"], second["before"]["assignee"], second["after"]["assignee"]) == ("lee", "kim", "lee")
    with health.read() as connection:
        assert verify_audit(connection, audit_file).fault is None


def test_silences(client: FlaskClient, health: Database) -> None:
    """Creating, changing and ending a silence are three entries; ending an ended one is none."""
    made = client.post("/api/monitoring/silences", json=SILENCE).json
    assert made
    later = SILENCE | {"id": made["id"], "endsAt": "2026-02-02T00:00:00Z"}
    client.post("/api/monitoring/silences", json=later)
    for _ in range(2):
        client.delete(f"/api/monitoring/silences/{made['id']}?by=lee")
    assert client.delete("/api/monitoring/silences/unknown").status_code == 404
    created, edited, ended = entries(health)
    assert (created["action"], created["by"], created["before"]) == ("silence.create", "kim", None)
    assert (edited["action"], edited["subject"]) == ("silence.edit", made["id"])
    assert (edited["before"]["endsAt"], edited["after"]["endsAt"]) == (
        ("2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z")
    )
    assert (ended["action"], ended["by"], ended["after"]["endedBy"]) == ("silence.end", "lee", "lee")


def test_bots(client: FlaskClient, redis: Redis, health: Database) -> None:
    """Retiring, expecting again and forgetting a bot are entries; without a name the actor is `open`."""
    RecordLog(redis).append([Equity(bot="a", timestamp=NOON, equity=1)], "test")
    client.post("/api/monitoring/bots/a/retire?by=ann")
    client.post("/api/monitoring/bots/a/unretire")
    client.delete("/api/monitoring/bots/a?by=ann")
    assert [(row["action"], row["by"]) for row in entries(health)] == [
        ("bot.retire", "ann"),
        ("bot.unretire", "open"),
        ("bot.forget", "ann"),
    ]


def test_signed_in(redis: Redis, performance: Database, health: Database) -> None:
    """Who is signed in is the actor, whatever name the request gives."""
    app = create_dashboard_app(DashboardSettings(), DataSources(redis, performance, health), LINKS)
    identity = Identity("token:ci", "token", frozenset(("read", "operate")), act_for_others=True)

    @app.before_request
    def sign_in() -> None:
        g.identity = identity

    RecordLog(redis).append([Equity(bot="a", timestamp=NOON, equity=1)], "test")
    client = app.test_client()
    client.post("/api/monitoring/silences", json=SILENCE | {"endsAt": "2099-01-01T00:00:00Z"})
    client.post("/api/monitoring/bots/a/retire?by=kim")
    created, retired = entries(health)
    assert (created["by"], created["after"]["createdBy"]) == ("token:ci", "kim")
    assert (retired["by"], retired["after"]) == ("token:ci", {"by": "kim"})


def test_link(redis: Redis, performance: Database, health: Database) -> None:
    """Where access is required, the name that a link's page is given is marked as nobody's proof."""
    settings = DashboardSettings(
        access="required",
        internal_tokens=f"{'00' * 32} prometheus read",
        dashboard_url="https://botwatch.example",
    )
    app = create_dashboard_app(settings, DataSources(redis, performance, health), LINKS, lambda: NOON)
    alert = store_open_alert(health, make_alert(1))
    path = LINKS.acknowledge_url(alert, "lee", NOON).removeprefix("https://botwatch.example")
    form = {"by": "admin", "comment": "", "timeout": "", "seen": ""}
    assert app.test_client().post(path, data=form).status_code == 200
    (row,) = entries(health)
    assert (row["by"], row["after"]["assignee"]) == ("link:admin", "admin")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "config"
    found.mkdir()
    return found


@pytest.fixture
def reload_client(
    redis: Redis, performance: Database, health: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> FlaskClient:
    """Return a client of a dashboard whose parts answer a reload without a word."""
    monkeypatch.setattr("services.dashboard.api.reload.wait_for_results", lambda *_: {})
    settings = DashboardSettings(botwatch_config=folder)
    return create_dashboard_app(settings, DataSources(redis, performance, health), LINKS).test_client()


def write(folder: Path, limit: object, url: str) -> None:
    rule = {"name": "dd", "metricName": "maxDrawdown", "operator": ">", "severity": "HIGH"}
    rules = {"alerting": {"conditions": [rule | {"threshold": limit}]}}
    (folder / "performance_logger.json").write_text(json.dumps(rules))
    chat = {"channels": {"chat": {"url": url, "secret": "planted-secret-1"}}}
    (folder / "notifications.yml").write_bytes(msgspec.yaml.encode(chat))


def test_reloaded(reload_client: FlaskClient, health: Database, folder: Path) -> None:
    """A reload has a line per change, of a secret only that it changed; a refused reload is there, too."""
    for limit, url in ((20, "tgram://planted-secret-2/1"), (25, "tgram://planted-secret-3/1"), ("high", "")):
        write(folder, limit, url)
        reload_client.post("/api/monitoring/config/reload")
    first, second, refused = entries(health)
    assert first["after"] == {"changes": [], "documents": ["notifications.yml", "performance_logger.json"]}
    channel, rule = second["after"]["changes"]
    assert rule == "performance_logger.json: alerting.conditions.dd.threshold: 20 → 25"
    assert channel.startswith("notifications.yml: channels.chat.url: tgram://… (")
    assert refused["outcome"] == "failed"
    assert any("threshold" in path for path in refused["after"]["faults"])
    assert "planted" not in json.dumps([first, second])
    assert "planted-secret" not in json.dumps(refused)
