"""Schemathesis holds the API's answers against its description: all checks, with authentication required."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from redis import Redis
from werkzeug.serving import make_server

from services.dashboard.api import reports
from shared.access import authenticator
from shared.runtime.redis.record_log import RecordLog
from shared.runtime.redis.reload_requests import RELOADING_PARTS, ReloadRequests
from shared.schema import redis_keys
from shared.schema.records import Check, Equity, Event, Health, Heartbeat, Metric, Performance
from shared.schema.rule_status import RuleStatus
from shared.store.database import Database
from tests.support import IN_CI, free_port
from tests.unit.dashboard.browser import running
from tests.unit.dashboard.sample_data import (
    NOON,
    bar,
    earn,
    held,
    hold,
    make_alert,
    store_open_alert,
    store_resolved,
)
from tests.unit.dashboard.signed_in import COMMAND_TOKEN, RestrictedDashboard

pytestmark = pytest.mark.slow

EXAMPLES = "3" if IN_CI else "1"
"""Beyond the cases that follow from the description: of each operation."""
CONFIG = Path(__file__).with_name("schemathesis.toml")


def fill(redis: Redis, performance: Database, health: Database) -> None:
    """Give the dashboard something of everything, so that answers are not empty."""
    rule = RuleStatus(name="drawdown", figures=["currentDrawdown"], subjects=1, never_seen=[])
    redis.set(redis_keys.RULES, msgspec.json.encode([rule]))
    moment = NOON - timedelta(minutes=1)
    RecordLog(redis).append(
        [
            Equity(bot="alpha", equity=1000.0, timestamp=moment),
            Performance(bot="alpha", portfolio_value=1000.0, sharpe_ratio=1.5, timestamp=moment),
            Heartbeat(bot="alpha", timestamp=moment),
            Event(bot="alpha", title="started", timestamp=moment),
            Metric(bot="alpha", name="queue", value=3.0, labels={"side": "buy"}, timestamp=moment),
            Health(host="box", cpu_usage=12.5, system_health="HEALTHY", timestamp=moment),
            Check(host="box", check="site", type="http", status="ok", text="200", timestamp=moment),
        ],
        "test",
    )
    earn(performance, bar("alpha", 3, 1000), bar("alpha", 2, 1010), bar("alpha", 1, 990))
    hold(performance, held("alpha", "BTC/USDT", 220.0))
    store_open_alert(health, make_alert(1, "CRITICAL"))
    store_open_alert(health, make_alert(2, "LOW"))
    store_resolved(health, make_alert(2, "LOW"))


@contextmanager
def reloading_parts(redis: Redis) -> Iterator[None]:
    """Answer every request for a reload, as the evaluator and the notifier do."""
    stopping = threading.Event()
    parts = [ReloadRequests(redis, stopping, part) for part in RELOADING_PARTS]

    def answer() -> None:
        while not stopping.wait(0.05):
            for part in parts:
                if part.is_pending():
                    part.reply({"rules": 1})

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def test_answers_are_as_described(
    redis: Redis, performance: Database, health: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Valid, invalid and missing values, wrong methods, no and wrong tokens: no check finds anything."""
    monkeypatch.setattr(authenticator, "MAX_BAD_TOKENS", 1_000_000)
    # Nobody makes reports here.
    monkeypatch.setattr(reports, "_wait", lambda _sources, entry, _seconds: entry)
    fill(redis, performance, health)
    port = free_port()
    dashboard = RestrictedDashboard(
        redis, (performance, health), tmp_path, dashboard_port=port, api_requests_per_minute=0
    )
    web = make_server("127.0.0.1", port, dashboard.app, threaded=True)
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run"),
        f"http://127.0.0.1:{port}/api/openapi.json",
        *("--header", f"Authorization: Bearer {COMMAND_TOKEN}"),
        *("--generation-deterministic", "--max-examples", EXAMPLES),
        *("--no-color", "--continue-on-failure"),
        *os.environ.get("SCHEMATHESIS", "").split(),
    ]
    with running(web), reloading_parts(redis):
        found = subprocess.run(
            command, capture_output=True, text=True, timeout=550, check=False, cwd=tmp_path
        )
    if log := os.environ.get("SCHEMATHESIS_LOG"):
        Path(log).write_text(found.stdout + found.stderr)
    assert found.returncode == 0, found.stdout + found.stderr
