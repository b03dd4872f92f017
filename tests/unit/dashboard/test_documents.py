"""The config documents that the dashboard shows: those that the evaluator and the notifier have loaded."""

import threading
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from redis import Redis

from services.dashboard.documents import DocumentsInForce
from shared.runtime import clock
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.reload_requests import ReloadRequests
from shared.schema.faults import Fault
from shared.schema.timestamps import EPOCH
from tests.support import free_port


def configure(folder: Path, channel: str) -> None:
    text = f"channels:\n  {channel}: {{ url: '${{ALERT_SLACK}}', type: slack }}\n"
    (folder / "notifications.yml").write_text(text)


def channels(shown: DocumentsInForce) -> list[str]:
    return list(shown.read().documents.notifications.channels)


@pytest.fixture
def _passing_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a second pass at each look at the clock, which counts whole milliseconds."""
    seconds = count()
    monkeypatch.setattr(clock, "now", lambda: EPOCH + timedelta(seconds=next(seconds)))


@pytest.mark.usefixtures("_passing_time")
def test_follows_reloads(redis: Redis, tmp_path: Path) -> None:
    """A changed file shows after a reload that was not refused, and not before."""
    configure(tmp_path, "ops")
    notifier = ReloadRequests(redis, threading.Event(), "notifier")
    notifier.reply({"channels": 1})
    shown = DocumentsInForce(tmp_path, redis)
    configure(tmp_path, "night")
    assert channels(shown) == ["ops"]
    notifier.reply({"channels": 1}, [Fault("notifications.yml", "wrong")])
    assert channels(shown) == ["ops"]
    notifier.reply({"channels": 1})
    assert channels(shown) == ["night"]
    (tmp_path / "notifications.yml").write_text("channels: 7")
    notifier.reply({"channels": 1})
    assert channels(shown) == ["night"]


def test_secrets(redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What only the notifier's environment has is empty; what is written keeps the reference."""
    monkeypatch.delenv("ALERT_SLACK", raising=False)
    configure(tmp_path, "ops")
    documents, written, _ = DocumentsInForce(tmp_path, redis).read()
    assert documents.notifications.channels["ops"].url == ""
    assert written == {"notifications.yml": {"channels": {"ops": {"url": "${ALERT_SLACK}", "type": "slack"}}}}


def test_without_redis(tmp_path: Path) -> None:
    """While Redis is down the documents stay as they were; without a folder they are empty."""
    away = connect_redis(f"redis://127.0.0.1:{free_port()}/0", call_timeout_s=0.2, retries=0)
    configure(tmp_path, "ops")
    assert channels(DocumentsInForce(tmp_path, away)) == ["ops"]
    assert channels(DocumentsInForce(None, away)) == []
    away.close()
