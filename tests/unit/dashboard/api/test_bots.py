"""Retiring and forgetting bots over HTTP."""

from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import select

from shared.runtime.redis.record_log import RecordLog
from shared.runtime.redis.stream_reader import LogReader
from shared.schema.records import Equity
from shared.store.database import Database
from shared.store.tables import audit_log
from tests.unit.dashboard.sample_data import NOON, body, get_json


def test_retired_and_back(client: FlaskClient, redis: Redis) -> None:
    """A bot with a slash and a blank in its name is retired, and expected again."""
    RecordLog(redis).append([Equity(bot="desk/a b", timestamp=NOON, equity=1)], "test")
    answer = client.post("/api/monitoring/bots/desk%2Fa%20b/retire?by=ann")
    assert (answer.status_code, body(answer)) == (202, {"bot": "desk/a b", "retired": True})
    assert get_json(client, "/api/monitoring")["performance"]["desk/a b"]["retired"] is True
    assert client.post("/api/monitoring/bots/desk%2Fa%20b/unretire").status_code == 202
    assert get_json(client, "/api/monitoring")["performance"]["desk/a b"]["retired"] is False


def test_forgotten(client: FlaskClient, redis: Redis, health: Database) -> None:
    """Forgetting reaches every reader of the log, is audited, and frees the latest values."""
    RecordLog(redis).append([Equity(bot="a", timestamp=NOON, equity=1)], "test")
    reader = LogReader(RecordLog(redis), "g", batch=10)
    assert client.delete("/api/monitoring/bots/a?by=ann").status_code == 202
    assert [entry.forget for entry in reader.read()] == [None, "a"]
    assert get_json(client, "/api/monitoring/bots") == []
    with health.read() as connection:
        rows = connection.execute(select(audit_log.c.action, audit_log.c.subject, audit_log.c.by)).all()
    assert [tuple(row) for row in rows] == [("bot.forget", "a", "ann")]


def test_unknown(client: FlaskClient, redis: Redis) -> None:
    """A bot of which there is no record is not found, and nothing is written."""
    assert client.delete("/api/monitoring/bots/nobody").status_code == 404
    assert client.post("/api/monitoring/bots/nobody/retire").status_code == 404
    assert redis.xlen(RecordLog(redis).stream) == 0
