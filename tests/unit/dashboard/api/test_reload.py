"""Asking for a reload: wrong documents are refused by name, and the evaluator's answer is passed on."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from flask.testing import FlaskClient
from redis import Redis

from services.dashboard.api import reload
from services.dashboard.app import create_dashboard_app
from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from shared.runtime.redis.reload_requests import ReloadRequests
from shared.schema import redis_keys
from shared.schema.faults import Fault
from shared.schema.rule_status import RuleStatus
from shared.store.database import Database
from tests.support import wait_until
from tests.unit.dashboard.conftest import LINKS

RELOAD = "/api/monitoring/config/reload"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "config"
    found.mkdir()
    return found


@pytest.fixture
def asking(redis: Redis, performance: Database, health: Database, folder: Path) -> FlaskClient:
    settings = DashboardSettings(botwatch_config=folder, dashboard_url="https://botwatch.example")
    return create_dashboard_app(settings, DataSources(redis, performance, health), LINKS).test_client()


def answer_in_background(redis: Redis, *faults: Fault, warnings: Sequence[str] = ()) -> threading.Thread:
    """Answer the next request as the evaluator and the notifier would."""
    evaluator = ReloadRequests(redis, threading.Event(), "evaluator")
    notifier = ReloadRequests(redis, threading.Event(), "notifier")

    def wait_and_answer() -> None:
        wait_until(evaluator.is_pending, "a reload is asked for", timeout_s=10)
        evaluator.reply({"rules": 7}, faults, warnings)
        wait_until(notifier.is_pending, "the notifier looks as well", timeout_s=10)
        notifier.reply({"channels": 2})

    thread = threading.Thread(target=wait_and_answer)
    thread.start()
    return thread


def test_a_reload_tells_how_many_rules_hold_now(asking: FlaskClient, redis: Redis) -> None:
    thread = answer_in_background(redis)
    answer = asking.post(RELOAD)
    thread.join()
    assert (answer.status_code, answer.json) == (200, {"rules": 7, "channels": 2})


def test_wrong_documents_are_refused_before_anybody_reads_them(
    asking: FlaskClient, redis: Redis, folder: Path
) -> None:
    document = {"alerting": {"conditions": [{"metricName": "x", "treshold": 1}]}}
    (folder / "performance_logger.json").write_text(json.dumps(document))
    answer = asking.post(RELOAD)
    assert answer.status_code == 400
    assert "did you mean `threshold`?" in answer.text
    assert not redis.exists("botwatch:reload")


def test_what_the_evaluator_refuses_is_refused(asking: FlaskClient, redis: Redis) -> None:
    thread = answer_in_background(redis, Fault("rules.json", "wrong"))
    answer = asking.post(RELOAD)
    thread.join()
    assert (answer.status_code, answer.json and answer.json["faults"]) == (
        400,
        [{"path": "rules.json", "message": "wrong"}],
    )


def test_without_an_evaluator_nobody_is_told_that_it_worked(
    asking: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "REPLY_TIMEOUT_S", 0.1)
    assert asking.post(RELOAD).status_code == 503


def test_warnings(asking: FlaskClient, redis: Redis) -> None:
    """A reload passes on what the evaluator warns about."""
    thread = answer_in_background(redis, warnings=["rule r: no such figure"])
    answer = asking.post(RELOAD)
    thread.join()
    assert answer.json == {"rules": 7, "channels": 2, "warnings": ["rule r: no such figure"]}


def test_the_state_of_rules(asking: FlaskClient, redis: Redis) -> None:
    """How the rules stand is listed as the evaluator published it."""
    assert asking.get("/api/monitoring/rules").status_code == 503
    status = RuleStatus(name="r", figures=["maxDrawdwn"], subjects=0, never_seen=["maxDrawdwn"], warning="w")
    redis.set(redis_keys.RULES, msgspec.json.encode([status]))
    (found,) = asking.get("/api/monitoring/rules").json or []
    published = {"name": "r", "figures": ["maxDrawdwn"], "subjects": 0, "neverSeen": ["maxDrawdwn"]}
    assert found | {**published, "warning": "w"} == found
    redis.set(redis_keys.RULES, "garbage")
    assert asking.get("/api/monitoring/rules").status_code == 503


def test_a_foreign_page_may_not_ask(asking: FlaskClient) -> None:
    assert asking.post(RELOAD, headers={"Origin": "https://evil.example"}).status_code == 403
