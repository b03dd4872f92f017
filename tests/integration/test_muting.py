"""Silences and acknowledgements for a time, from the public API to the webhook."""

import urllib.request
from datetime import timedelta

from shared.runtime import clock
from shared.schema.timestamps import to_wire
from tests.integration.stack import BotwatchProcess, WebhookAndMailReceivers
from tests.support import wait_until


def drawdown(stack: BotwatchProcess, bot: str, value: float) -> None:
    record = {"kind": "performance", "bot": bot, "portfolioValue": 1.0, "maxDrawdown": value}
    assert stack.ingestion("/api/v1/records", record)["accepted"] == 1


def end(stack: BotwatchProcess, silence: str) -> None:
    url = f"http://127.0.0.1:{stack.ports['DASHBOARD_PORT']}/api/monitoring/silences/{silence}?by=bob"
    with urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=10) as answer:
        assert answer.status == 200


def test_a_silenced_alert_notifies_when_the_silence_ends(
    stack: BotwatchProcess, receivers: WebhookAndMailReceivers
) -> None:
    silence = stack.dashboard(
        "/api/monitoring/silences",
        {
            "matchers": [{"name": "bot", "value": "muted-.*", "isRegex": True}],
            "endsAt": to_wire(clock.now() + timedelta(hours=1)),
            "createdBy": "ann",
        },
    )
    drawdown(stack, "muted-1", 25)
    drawdown(stack, "loud", 25)
    wait_until(lambda: receivers.changes("loud"), "the other bot's alert is told")
    wait_until(lambda: stack.alerts("muted-1"), "the silenced alert is there")
    (alert,) = stack.alerts("muted-1")
    assert alert["details"]["mutedBy"].startswith("silenced by ann until ")
    assert receivers.changes("muted-1") == []

    end(stack, silence["id"])
    wait_until(lambda: receivers.changes("muted-1") == ["unmuted"], "now it is told")
    drawdown(stack, "muted-1", 1)
    wait_until(lambda: receivers.changes("muted-1") == ["unmuted", "resolved"], "and its end")
    shown = stack.dashboard(f"/api/monitoring/alerts/{alert['id']}")
    changes = [(event["change"], event["by"]) for event in shown["timeline"]]
    assert changes == [("opened", None), ("muted", "ann"), ("unmuted", "bob"), ("resolved", None)]
    assert "SUPPRESSED" in {notice["state"] for notice in shown["notifications"]}


def test_an_acknowledgement_for_two_seconds_ends_after_them(
    stack: BotwatchProcess, receivers: WebhookAndMailReceivers
) -> None:
    drawdown(stack, "taken", 25)
    wait_until(lambda: stack.alerts("taken"), "the alert is there")
    (alert,) = stack.alerts("taken")
    taken = stack.dashboard(
        f"/api/monitoring/alerts/{alert['id']}/acknowledge", {"by": "ann", "timeout": "2s"}
    )
    assert taken["status"] == "ACKNOWLEDGED"
    wait_until(lambda: receivers.changes("taken") == ["opened", "unacknowledged"], "it is told again")
    assert [one["status"] for one in stack.alerts("taken")] == ["ACTIVE"]
