"""Channels to receivers of every kind, and what these were told, as tests of notices use them."""

import email
import email.policy
import json
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

from redis import Redis

from shared.runtime.redis.connection import connect_redis
from shared.schema import redis_keys
from tests.integration.stack import BotwatchProcess, request
from tests.unit.notifier.fake_receivers import MailReceiver, WebhookReceiver

FAILING_CHANNELS = ("slow", "busy", "failing", "hanging", "away")
HOOKS = ("hook", "ops", "desk", "phone", "spare", *FAILING_CHANNELS)
CONFIG = """
channels:
  hook: {{ url: "{hook}", secret: hush-hush }}
  ops: {{ url: "{ops}", format: alertmanager, secret: hush-hush }}
  desk: {{ type: slack, url: "{desk}" }}
  phone: {{ url: "{phone}", fallback: spare }}
  spare: {{ url: "{spare}" }}
  slow: {{ url: "{slow}" }}
  busy: {{ url: "{busy}" }}
  failing: {{ url: "{failing}" }}
  hanging: {{ url: "{hanging}" }}
  away: {{ url: "{away}" }}
  mail: {{ email: {{ smtp: 127.0.0.1, port: {mail}, from: watch@example.org, to: [ann@example.org] }} }}
  letter: {{ email: {{ smtp: 127.0.0.1, port: {letter}, from: watch@example.org, to: [bob@example.org] }} }}
routes:
  - {{ match: {{ rule: notification-channel }}, channels: [phone, ops] }}
  - {{ match: {{ bot: "hard-*" }}, channels: [hook, slow, busy, failing, hanging, away, mail, letter] }}
  - {{ match: {{ bot: "gone-*" }}, channels: [phone] }}
  - {{ match: {{ bot: "night-*" }}, policy: night }}
  - {{ match: {{ bot: "look-*" }}, channels: [hook, ops, desk, mail] }}
  - {{ channels: [] }}
policies:
  night: {{ rounds: 2, pause: 2s, steps: [{{ notify: [mail] }}, {{ after: 2s, notify: [spare] }}] }}
"""


class ChannelReceivers:
    """A Botwatch whose channels all lead to receivers here."""

    def __init__(
        self, stack: BotwatchProcess, hooks: dict[str, WebhookReceiver], mails: dict[str, MailReceiver]
    ) -> None:
        self.stack = stack
        self.hooks = hooks
        self.mails = mails
        self.document = stack.home.parent / "config" / "notifications.yml"
        self._redis: Redis = connect_redis(stack.redis_url())

    def report(self, bot: str, drawdown: float, at: datetime | None = None) -> None:
        """Publish a record of a bot."""
        record = {"kind": "performance", "bot": bot, "portfolioValue": 12500, "maxDrawdown": drawdown}
        if at:
            record["timestamp"] = at.isoformat()
        self._redis.xadd("bot:metrics:stream", {"data": json.dumps(record)})

    def received(self, channel: str, bot: str) -> list[str]:
        """List what a channel took about a bot, duplicates and all."""
        if channel in self.mails:
            about = [mail["Subject"] for mail in self.mails_to(channel) if bot in mail["Subject"]]
            return ["resolved" if "RESOLVED" in subject else "opened" for subject in about]
        return [body["change"] for body in self.hooks[channel].taken if body["component"] == bot]

    def mails_to(self, channel: str) -> list[EmailMessage]:
        """Return the mails that a mailbox took."""
        read = email.message_from_bytes
        return [read(mail, policy=email.policy.default) for mail in self.mails[channel].mails]

    def alert(self, component: str) -> dict[str, Any]:
        """Return a component's newest alert in full, {} while it has none."""
        found = self.stack.alerts(component)
        detail: dict[str, Any] = (
            self.stack.dashboard(f"/api/monitoring/alerts/{found[0]['id']}") if found else {}
        )
        return detail

    def close(self) -> None:
        """Hang up."""
        self._redis.close()

    def metrics(self) -> str:
        """Return the notifier's figures."""
        part = json.loads(cast("bytes", self._redis.hget(redis_keys.PARTS, "notifier")))
        return str(request(f"{part['url']}/metrics"))

    def channel_alerts(self, channel: str) -> list[str]:
        """List what `ops` was told of a channel."""
        alerts = [alert for body in self.hooks["ops"].taken for alert in body["alerts"]]
        return [one["status"] for one in alerts if one["labels"].get("channel") == channel]

    def bodies(self, channel: str, bot: str) -> list[dict[str, Any]]:
        """Return what a webhook took that names a bot."""
        return [body for body in self.hooks[channel].taken if bot in json.dumps(body)]


def save_received(folder: Path, desks: ChannelReceivers) -> None:
    """Put what the receivers got into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("hook", "ops", "desk"):
        (folder / f"{name}.json").write_text(json.dumps(desks.bodies(name, "look-1"), indent=2))
    for number, mail in enumerate(one for one in desks.mails["mail"].mails if b"look-1" in one):
        (folder / f"mail-{number}.eml").write_bytes(mail)
