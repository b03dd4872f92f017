"""An upgrade: what an earlier release stored is used by this one."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.runtime.settings import REPOSITORY
from tests.integration.stack import BotwatchProcess, botwatch_up
from tests.releases import BOT, FOLDER, RELEASES, read_answers, unpack
from tests.support import wait_until

pytestmark = pytest.mark.integration

KEPT = (
    "id", "timestamp", "severity", "category", "component", "status", "fingerprint", "assignee", "comment",
    "acknowledgedAt", "resolvedAt", "updatedAt",
)  # fmt: skip
"""What an upgrade must not change of an alert; texts may improve."""
RECOUNTED = ("disagreements", "ageSeconds")
"""`disagreements` counts anew: since 0.2.0 two comparisons in a row must differ."""


def figures(performance: dict[str, Any]) -> dict[str, float]:
    return {
        name: value
        for name, value in performance.items()
        if isinstance(value, int | float) and name not in RECOUNTED
    }


def kept(alerts: list[dict[str, Any]]) -> list[object]:
    timelines = [
        [[change[name] for name in ("timestamp", "change", "by", "comment")] for change in alert["timeline"]]
        for alert in alerts
    ]
    return [*timelines, *([alert[name] for name in KEPT] for alert in alerts)]


def open_alerts(stack: BotwatchProcess) -> list[str]:
    return [alert["id"] for alert in stack.alerts(BOT) if alert["status"] != "RESOLVED"]


@pytest.mark.parametrize("release", RELEASES)
def test_what_a_release_stored_is_upgraded_and_used(release: str, tmp_path: Path) -> None:
    """Alerts, acknowledgement, silence and figures are as they were, and the bot continues."""
    unpack(release, tmp_path / "home")
    before = json.loads((FOLDER / release / "answers.json").read_text())
    with botwatch_up(tmp_path, REPOSITORY / "deploy" / "config") as stack:
        after = read_answers(lambda path: stack.dashboard(f"/api/monitoring{path}"))
        assert kept(after["alerts"]) == kept(before["alerts"])
        assert after["silences"] == before["silences"]
        assert figures(before["performance"]).items() <= figures(after["performance"]).items()
        stack.ingestion("/api/v1/records", {"kind": "equity", "bot": BOT, "equity": 12900})
        path = f"/api/monitoring/performance?bot={BOT}"
        # 12,971 was the peak before the upgrade: 1 - 12,900 / 12,971 = 0.5474 %.
        wait_until(
            lambda: stack.dashboard(path)["currentDrawdown"] == pytest.approx(0.5474, abs=1e-4),
            "the drawdown goes on from the peak before the upgrade",
        )
        still = [alert["id"] for alert in before["alerts"] if alert["status"] != "RESOLVED"]
        assert open_alerts(stack) == still
