"""New rules without a restart: by HTTP and by SIGHUP; a wrong document is refused, and the old rules stay."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.integration.stack import BotwatchProcess
from tests.integration.test_kills import pid_of
from tests.support import wait_until

pytestmark = pytest.mark.integration

RELOAD = "/api/monitoring/config/reload"


@pytest.fixture
def document(stack: BotwatchProcess) -> Iterator[Path]:
    """Yield the stack's own document, which is put back afterwards."""
    path = stack.home.parent / "config" / "performance_logger.json"
    before = path.read_text()
    yield path
    path.write_text(before)
    assert stack.dashboard(RELOAD, {})["rules"]


def add_rule(document: Path, **keys: Any) -> None:
    known = json.loads(document.read_text())
    known["alerting"]["conditions"].append(keys)
    document.write_text(json.dumps(known))


def publish(bus: Redis, bot: str, value: float) -> None:
    record = {"kind": "metric", "bot": bot, "name": "fundingRate", "value": value}
    bus.xadd("bot:metrics:stream", {"data": json.dumps(record)})


def test_a_new_rule_holds_after_a_request(stack: BotwatchProcess, bus: Redis, document: Path) -> None:
    before = stack.dashboard(RELOAD, {})["rules"]
    add_rule(
        document, name="funding", metricName="fundingRate", operator=">", threshold=0.1, severity="LOW",
        description="Funding {value} of {bot}",
    )  # fmt: skip
    assert stack.dashboard(RELOAD, {})["rules"] == before + 1
    publish(bus, "reloaded", 0.25)
    alert = wait_until(lambda: stack.alerts("reloaded"), "the new rule fires")[0]
    assert alert["message"] == "Funding 0.25 of reloaded"


def test_sighup_loads_a_new_rule_and_resolves_alerts_without_a_rule(
    stack: BotwatchProcess, bus: Redis, document: Path
) -> None:
    without = document.read_text()
    add_rule(document, name="f2", metricName="fundingRate", operator=">", threshold=0.3, severity="LOW")
    log = stack.home / "logs" / "evaluator.log"
    times = log.read_text().count("rules reloaded")
    os.kill(pid_of(stack, "evaluator"), signal.SIGHUP)
    wait_until(lambda: log.read_text().count("rules reloaded") > times, "the evaluator has read them")
    publish(bus, "hangup", 0.5)
    wait_until(lambda: stack.alerts("hangup"), "the new rule fires")
    document.write_text(without)
    stack.dashboard(RELOAD, {})
    wait_until(lambda: stack.alerts("hangup")[0]["status"] == "RESOLVED", "nothing speaks of it any more")
    assert stack.alerts("hangup")[0]["comment"] == "its rule was removed"


def test_a_wrong_document_is_refused_and_the_old_rules_stay(
    stack: BotwatchProcess, bus: Redis, document: Path
) -> None:
    add_rule(document, metricName="fundingRate", operater=">", threshold=1, severity="LOW")
    answer = stack.dashboard(RELOAD, {})
    assert "did you mean `operator`?" in json.dumps(answer["faults"])
    record = {"kind": "performance", "bot": "stays", "portfolioValue": 1, "maxDrawdown": 50}
    bus.xadd("bot:metrics:stream", {"data": json.dumps(record)})
    wait_until(lambda: stack.alerts("stays"), "the old rules hold")
