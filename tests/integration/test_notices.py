"""Notices on their way to real receivers: those in trouble, fallbacks, links, tests and reloads.

With KEEP_NOTICES set to a folder, what the receivers got is put there.
"""

import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from pathlib import Path

import pytest

from shared.runtime.settings import REPOSITORY
from tests.integration.channel_receivers import (
    CONFIG,
    FAILING_CHANNELS,
    HOOKS,
    ChannelReceivers,
    save_received,
)
from tests.integration.stack import botwatch_up
from tests.support import HANG_S, wait_until
from tests.unit.notifier.fake_receivers import MailReceiver, WebhookReceiver

pytestmark = pytest.mark.integration

RELOAD = "/api/monitoring/config/reload"


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChannelReceivers]:
    """Yield a stack with a channel to each kind of receiver."""
    folder = tmp_path_factory.mktemp("notices")
    hooks = {name: WebhookReceiver() for name in HOOKS}
    mails = {name: MailReceiver() for name in ("mail", "letter")}
    config = folder / "config"
    config.mkdir()
    condition = {
        "name": "drawdown", "metricName": "maxDrawdown", "threshold": 20, "operator": ">", "severity": "HIGH",
        "description": "Maximum drawdown exceeded 20%", "runbook": "drawdown",
    }  # fmt: skip
    document = {"alerting": {"conditions": [condition]}}
    (config / "performance_logger.json").write_text(json.dumps(document))
    places = {name: hook.url for name, hook in hooks.items()} | {
        name: one.port for name, one in mails.items()
    }
    (config / "notifications.yml").write_text(CONFIG.format(**places))
    with botwatch_up(folder, config) as running:
        desks = ChannelReceivers(running, hooks, mails)
        yield desks
        desks.close()
    for hook in desks.hooks.values():
        hook.close()
    for mailbox in mails.values():
        mailbox.close()
    if kept := os.environ.get("KEEP_NOTICES"):
        save_received(Path(kept), desks)


def test_failing_receivers_get_everything_in_order_and_delay_no_other(desks: ChannelReceivers) -> None:
    bots, story = [f"hard-{number}" for number in range(3)], ["opened", "resolved"]
    make_trouble(desks)
    begun = time.monotonic()
    for drawdown in (50.0, 3.0):
        for bot in bots:
            desks.report(bot, drawdown)
    wait_until(
        lambda: all(desks.received("hook", bot) == story for bot in bots), "the healthy one has everything"
    )
    seconds = {"hook": time.monotonic() - begun}
    assert not desks.hooks["hanging"].taken
    assert not desks.mails["mail"].mails
    wait_until(lambda: {"away", "letter"} <= failed(desks, bots[0]), "who is not there was tried")
    desks.hooks["away"] = WebhookReceiver(desks.hooks["away"].port)
    desks.mails["letter"].open()
    while others := [name for name in (*FAILING_CHANNELS, *desks.mails) if name not in seconds]:
        name = wait_until(partial(first_to_know, desks, others, bots), f"told: {seconds}")
        seconds[name] = time.monotonic() - begun
    print()  # noqa: T201 - figures
    for name, took in seconds.items():
        told = [desks.received(name, bot) for bot in bots]
        assert [[change for change, _ in groupby(one)] for one in told] == [story] * len(bots), name
        print(f"{name:<8} has everything after {took:5.1f} s: {sum(map(len, told))} deliveries")  # noqa: T201


def make_trouble(desks: ChannelReceivers) -> None:
    """Let each receiver but `hook` have its own."""
    hooks, mails = desks.hooks, desks.mails
    hooks["slow"].delay_s = 0.4
    hooks["busy"].answers = [(429, {"Retry-After": "1"}), (503, {"Retry-After": "1"})]
    hooks["failing"].answers = [(500, {}), b"SSH-2.0-OpenSSH_9.6\r\n", b""]
    hooks["hanging"].answers = [None]
    hooks["away"].close()
    mails["mail"].answers = ["451 4.7.1 greylisted", "421 4.3.2 too busy"]
    mails["letter"].close()


def failed(desks: ChannelReceivers, bot: str) -> set[str]:
    """Return the channels that were told in vain."""
    return {one["channel"] for one in desks.alert(bot)["notifications"] if one["lastError"]}


def states(desks: ChannelReceivers, bot: str) -> list[tuple[str, str]]:
    """Return each delivery of the bot's alert: channel and state; none before there is an alert."""
    return [(one["channel"], one["state"]) for one in desks.alert(bot).get("notifications", ())]


def first_to_know(desks: ChannelReceivers, channels: list[str], bots: list[str]) -> str:
    """Return a channel that was told of every end, "" while there is none."""
    ends = (name for name in channels if all("resolved" in desks.received(name, bot) for bot in bots))
    return next(ends, "")


def test_a_rejection_uses_the_fallback_and_opens_a_channel_alert(
    desks: ChannelReceivers,
) -> None:
    phone = desks.hooks["phone"]
    phone.answers = [(404, {})]
    phone.body = b"no such room"
    desks.report("gone-1", 50)
    wait_until(lambda: desks.received("spare", "gone-1") == ["opened"], "the fallback is told")
    ends = [("phone", "FAILED"), ("spare", "SENT")]  # stored a moment after the receiver answered
    wait_until(lambda: states(desks, "gone-1") == ends, "both deliveries have ended")
    told = desks.alert("gone-1")["notifications"]
    assert told[0]["lastError"] == "receiver returned 404 Not Found: no such room"
    assert told[1]["reason"] == "phone failed: receiver returned 404 Not Found: no such room"

    trouble = desks.alert("botwatch")
    assert (trouble["details"]["rule"], trouble["status"]) == ("notification-channel", "ACTIVE")
    assert trouble["details"]["labels"] == {"channel": "phone"}
    wait_until(lambda: "firing" in desks.channel_alerts("phone"), "the others are told of the channel")
    assert "opened" in desks.received("spare", "botwatch"), (
        "what stands in for the channel, not the channel itself"
    )

    desks.report("gone-2", 50)
    wait_until(lambda: desks.received("phone", "gone-2") == ["opened"], "the channel works again")
    wait_until(lambda: desks.alert("botwatch")["status"] == "RESOLVED", "the alert about it ends")
    wait_until(lambda: "resolved" in desks.channel_alerts("phone"), "the others are told that it works")

    for line in (
        'botwatch_notifications_total{channel="phone",outcome="failed",reason="refused"} 1.0',
        'botwatch_notifications_total{channel="phone",outcome="sent",reason=""} 1.0',
        'botwatch_notification_latency_seconds_count{channel="phone"} 1.0',
    ):
        wait_until(partial(_is_counted, desks, line), line)


def _is_counted(desks: ChannelReceivers, line: str) -> bool:
    return line in desks.metrics()


def test_silenced_notifications_are_counted_and_kept_in_the_history(desks: ChannelReceivers) -> None:
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    silence = {
        "matchers": [{"name": "bot", "value": "look-silent"}], "endsAt": ends, "createdBy": "ann",
        "comment": "planned",
    }  # fmt: skip
    answer = desks.stack.dashboard("/api/monitoring/silences", silence)
    assert answer.get("id"), answer
    desks.report("look-silent", 50)
    told = wait_until(lambda: desks.alert("look-silent").get("notifications", []), "it stands in the history")
    assert {(one["channel"], one["state"]) for one in told} == {
        (channel, "SUPPRESSED") for channel in ("hook", "ops", "desk", "mail")
    }
    assert all(one["lastError"].startswith("silenced by ann until ") for one in told)
    line = 'botwatch_notifications_total{channel="desk",outcome="suppressed",reason="muted"} 1.0'
    wait_until(lambda: line in desks.metrics(), "it is counted")


def test_the_acknowledge_link_needs_its_button_to_stop_the_escalation(desks: ChannelReceivers) -> None:
    desks.report("night-1", 50)
    wait_until(lambda: desks.received("mail", "night-1"), "the mail comes")
    mail = next(one for one in desks.mails_to("mail") if "night-1" in one["Subject"])
    text = mail.get_body(("plain",))
    assert text
    link = re.search(r"\S+/acknowledge/\S+", text.get_content())
    assert link
    with urllib.request.urlopen(link[0], timeout=10) as answer:
        assert b"Not acknowledged" in answer.read()
    assert desks.alert("night-1")["status"] == "ACTIVE"
    form = urllib.parse.urlencode({"by": "ann", "comment": "on it", "timeout": "", "seen": ""}).encode()
    with urllib.request.urlopen(link[0], form, timeout=10) as answer:
        assert b"Acknowledged" in answer.read()
    alert = desks.alert("night-1")
    assert (alert["status"], alert["assignee"]) == ("ACKNOWLEDGED", "ann")

    # Of another one, opened later, the next step is taken; that of the first would have come before it.
    desks.report("night-2", 50)
    wait_until(
        lambda: desks.received("spare", "night-2") == ["escalated"], "nobody has acknowledged this one"
    )
    assert desks.received("spare", "night-1") == []
    desks.report("night-2", 3)
    wait_until(lambda: desks.alert("night-2")["status"] == "RESOLVED", "it ends")


@pytest.mark.parametrize("channel", ["mail", "desk", "ops"])
def test_a_channel_can_be_tried_while_all_runs(desks: ChannelReceivers, channel: str) -> None:
    environ = os.environ | {
        "BOTWATCH_HOME": str(desks.stack.home),
        "BOTWATCH_CONFIG": str(desks.document.parent),
        "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'client'}",
    }
    command = [sys.executable, "-m", "botwatch.cli", "notify", "test", channel]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=HANG_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "response: 2" in done.stdout
    got: list[object] = [*desks.mails_to("mail")] if channel == "mail" else [*desks.hooks[channel].taken]
    assert f"Test notification for channel {channel}. No action needed." in str(got[-1])


def test_a_reload_adds_a_channel_and_rejects_an_invalid_document(
    desks: ChannelReceivers,
) -> None:
    before = desks.document.read_text()
    added = WebhookReceiver()
    desks.hooks["added"] = added
    route = '  - { match: { bot: "added-*" }, channels: [added] }\n'
    text = before.replace("channels:\n", f'channels:\n  added: {{ url: "{added.url}" }}\n', 1)
    text = text.replace("routes:\n", f"routes:\n{route}", 1)
    count = desks.stack.dashboard(RELOAD, {})["channels"]
    desks.document.write_text(text)
    assert desks.stack.dashboard(RELOAD, {})["channels"] == count + 1
    desks.report("added-1", 50)
    wait_until(lambda: desks.received("added", "added-1") == ["opened"], "the new channel is told")

    desks.document.write_text(text.replace("channels: [added]", "channels: [addde]"))
    answer = json.dumps(desks.stack.dashboard(RELOAD, {}))
    assert "routes[0].channels" in answer
    assert "did you mean `added`?" in answer
    desks.report("added-2", 50)
    wait_until(lambda: desks.received("added", "added-2") == ["opened"], "the routes from before hold")

    desks.document.write_text(text.replace(f'"{added.url}"', '"encrypted:nonsense"'))
    assert "channels.added" in json.dumps(desks.stack.dashboard(RELOAD, {}))
    desks.report("added-3", 50)
    wait_until(lambda: desks.received("added", "added-3") == ["opened"], "the channels from before hold")
    desks.document.write_text(before)
    assert desks.stack.dashboard(RELOAD, {})["channels"] == count


def test_a_notice_of_each_kind_arrives_whole(desks: ChannelReceivers) -> None:
    now = datetime.now(UTC)
    for minute in range(55, 0, -1):
        desks.report("look-1", 19.5 - minute / 4, now - timedelta(minutes=minute))
    count = "SELECT count(*) FROM performance_metrics WHERE bot = 'look-1'"
    wait_until(lambda: desks.stack.rows("performance_metrics.db", count)[0][0] >= 55, "the past is stored")
    desks.report("look-1", 21.3)
    for channel in ("hook", "mail"):
        wait_until(partial(desks.received, channel, "look-1"), f"{channel} is told")
    mail = next(one for one in desks.mails_to("mail") if "look-1" in one["Subject"])
    assert "image/png" in [part.get_content_type() for part in mail.walk()]
    (alert,) = wait_until(lambda: desks.bodies("ops", "look-1"), "Alertmanager's body comes")
    assert alert["alerts"][0]["labels"]["alertname"] == "drawdown"
    (blocks,) = wait_until(lambda: desks.bodies("desk", "look-1"), "Slack's blocks come")
    buttons = [
        one["text"]["text"]
        for block in blocks["attachments"][0]["blocks"]
        if block["type"] == "actions"
        for one in block["elements"]
    ]
    assert buttons == ["Acknowledge", "View alert", "Runbook"]
    desks.report("look-1", 3.0)
    wait_until(lambda: desks.received("mail", "look-1") == ["opened", "resolved"], "the end is told")
    wait_until(lambda: len(desks.bodies("desk", "look-1")) == 2, "at the desk too")
    opened, resolved = [one for one in desks.mails_to("mail") if "look-1" in one["Subject"]]
    assert resolved["References"] == opened["Message-ID"]
