"""Heartbeats in a running Botwatch: pings by curl's means, silence, an alert in words, and its end."""

import json
import os
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import NIGHTLY, SCALPER
from tests.integration.stack import BotwatchProcess, WebhookAndMailReceivers
from tests.integration.test_kills import pid_of
from tests.support import wait_until

pytestmark = pytest.mark.integration


def ping(stack: BotwatchProcess, path: str, body: bytes | None = None) -> int:
    address = f"http://127.0.0.1:{stack.ports['INGESTION_PORT']}/ping/{path}"
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body), timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def told(receivers: WebhookAndMailReceivers, check: str) -> list[dict[str, Any]]:
    """Return what the webhook was told about a heartbeat."""
    return [body for body in receivers.bodies if body["details"].get("labels", {}).get("check") == check]


def changes(receivers: WebhookAndMailReceivers, check: str) -> list[str]:
    return [body["change"] for body in told(receivers, check)]


def test_a_bot_that_falls_silent_is_told_of_until_it_pings_again(
    stack: BotwatchProcess, receivers: WebhookAndMailReceivers
) -> None:
    assert ping(stack, SCALPER) == 200
    wait_until(
        lambda: stack.rows(
            "system_health.db", "SELECT status FROM checks WHERE host = 'heartbeats' AND status = 'ok'"
        ),
        "the ping is a row",
    )
    # Where the start took longer than the first period, it was told already that it never came.
    body = wait_until(
        lambda: [one for one in told(receivers, "scalper") if " late: " in one["message"]],
        "the silence is told",
    )[0]
    assert body["change"] in ("opened", "reopened")
    assert (body["details"]["rule"], body["severity"]) == ("heartbeat-late", "CRITICAL")
    assert body["component"] == "heartbeats"
    assert body["message"].startswith("scalper: ")
    assert " s late: due at " in body["message"]
    assert "(every 2s, grace 1s); last ping " in body["message"]
    assert SCALPER not in json.dumps(body)

    assert ping(stack, SCALPER) == 200
    since = told(receivers, "scalper").index(body) + 1
    wait_until(lambda: "resolved" in changes(receivers, "scalper")[since:], "its end is told")


def test_a_failed_job_alerts_at_once_with_exit_code_and_last_line(
    stack: BotwatchProcess, receivers: WebhookAndMailReceivers
) -> None:
    assert ping(stack, f"{NIGHTLY}/start") == 200
    assert ping(stack, f"{NIGHTLY}/3", b"dumping\nno space left on device\n") == 200
    wait_until(lambda: changes(receivers, "nightly") == ["opened"], "the failure is told")
    message = told(receivers, "nightly")[0]["message"]
    assert message.startswith("nightly: Failed after ")
    assert message.endswith(" with exit code 3: no space left on device")
    assert ping(stack, f"{NIGHTLY}/0") == 200
    wait_until(lambda: changes(receivers, "nightly") == ["opened", "resolved"], "its end is told")


def test_a_heartbeat_is_seen_like_any_check(stack: BotwatchProcess) -> None:
    assert ping(stack, SCALPER) == 200
    found = wait_until(
        lambda: stack.dashboard("/api/monitoring/checks?host=heartbeats").get("heartbeats"),
        "the API has the checks",
    )
    assert set(found) == {"scalper", "nightly"}
    assert found["nightly"]["type"] == "heartbeat"
    assert stack.ingestion("/health")["status"] == "ok"


def test_a_killed_process_finds_again_what_it_knew(
    stack: BotwatchProcess, receivers: WebhookAndMailReceivers
) -> None:
    newest = (
        "SELECT recordId, status FROM checks WHERE host = 'heartbeats' AND \"check\" = 'nightly'"
        " ORDER BY id DESC LIMIT 1"
    )
    ((before, _),) = wait_until(
        lambda: [row for row in stack.rows("system_health.db", newest) if row[1] == "ok"], "it is well"
    )
    os.kill(pid_of(stack, "ingestion-redis"), signal.SIGKILL)
    ((_, status),) = wait_until(
        lambda: [row for row in stack.rows("system_health.db", newest) if row[0] != before],
        "it reports again",
    )
    assert status == "ok"
    assert changes(receivers, "nightly") == ["opened", "resolved"]


def test_no_key_is_in_a_log(stack: BotwatchProcess) -> None:
    assert ping(stack, "an-unknown-key") == 404
    assert ping(stack, f"{SCALPER}/nonsense") == 404
    written = [path.read_text(errors="replace") for path in Path(stack.home / "logs").glob("*.log")]
    assert written
    assert not any(SCALPER in text or NIGHTLY in text or "an-unknown-key" in text for text in written)
