"""Notifier, Redis and evaluator killed with SIGKILL at every step of a delivery.

Every notice reaches every channel at least once and in order; a kill makes one duplicate per channel at most.
`-s` prints the figures.
"""

import json
import re
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from redis import Redis
from redis.exceptions import RedisError

from shared.runtime.redis.connection import connect_redis
from shared.runtime.settings import REPOSITORY
from tests.integration.stack import BotwatchProcess, botwatch_up
from tests.support import wait_until
from tests.unit.notifier.fake_receivers import MailReceiver, WebhookReceiver

pytestmark = pytest.mark.integration

EVALUATOR_STEPS = (
    "alert written, not committed",
    "alert committed, nobody woken",
    "notifier woken, not announced",
    "announced, log not acknowledged",
)
NOTIFIER_STEPS = (
    "wake taken, nothing dispatched",
    "event read, nothing written",
    "outbox written, not committed",
    "leased, not handed over",
    "claimed, not sent",
    "received, not marked",
    "marked, not committed",
    "marked and committed",
)
ANY = ("wake taken, nothing dispatched", "notifier woken, not announced")
"""Steps that know of no bot."""
CASES = [
    *((step, victim) for step in EVALUATOR_STEPS for victim in ("evaluator", "redis")),
    *((step, victim) for step in NOTIFIER_STEPS for victim in ("notifier", "redis")),
    ("event read, nothing written", "evaluator"),
    ("received, not marked", "evaluator"),
]
SERVER = "valkey-server"
SETTLED_S = 1.5
CHANNELS = ("hook", "ops", "mail")
PENDING = "SELECT count(*) FROM notifications WHERE state = 'PENDING'"
BOTS = 3
STORY = ["opened", "resolved"]


class Line(NamedTuple):
    """A line of the figures."""

    step: str
    victim: str
    notices: int
    deliveries: int

    def __str__(self) -> str:
        return f"{self.step:<33} {self.victim:<10} {self.notices:>7} {self.deliveries:>10} {self.extra:>10}"

    @property
    def extra(self) -> int:
        """Count those that were too many."""
        return self.deliveries - self.notices


class KillScenario:
    """A stack whose parts can be killed at a step, and what its receivers took."""

    def __init__(
        self,
        stack: BotwatchProcess,
        armed: Path,
        hook: WebhookReceiver,
        ops: WebhookReceiver,
        mail: MailReceiver,
    ) -> None:
        self.stack = stack
        self.armed = armed
        self._hook, self._ops, self._mail = hook, ops, mail
        self.redis: Redis = connect_redis(stack.redis_url())

    def told(self, channel: str, bot: str) -> list[str]:
        """List what a channel was told of a bot, duplicates and all."""
        if channel == "hook":
            return [body["change"] for body in self._hook.taken if body["component"] == bot]
        if channel == "ops":
            alerts = [alert for body in self._ops.taken for alert in body["alerts"]]
            firing = [one["status"] == "firing" for one in alerts if one["labels"].get("bot") == bot]
            return ["opened" if one else "resolved" for one in firing]
        subjects = [re.search(rb"^Subject: (.*)$", mail, re.MULTILINE) for mail in self._mail.mails]
        about = [one[1] for one in subjects if one and f"{bot}:".encode() in one[1]]
        return ["resolved" if b"RESOLVED" in one else "opened" for one in about]

    def pending(self) -> int:
        """Count what is still to be delivered."""
        ((count,),) = self.stack.rows("system_health.db", PENDING)
        return int(count)

    def arm(self, step: str, word: str, victim: str) -> None:
        """Have `victim` killed at the step that is about `word`."""
        pid = self._redis_pid() if victim == "redis" else 0
        if victim == "evaluator" and step in NOTIFIER_STEPS:
            pid = int(self.stack.dashboard("/api/monitoring")["system"]["parts"]["evaluator"]["pid"])
        draft = self.armed.with_suffix(".draft")
        draft.write_text(json.dumps({"step": step, "word": word, "pid": pid}))
        draft.rename(self.armed)

    def was_hit(self) -> bool:
        """Say, once, whether the kill has happened."""
        hit = self.armed.with_suffix(".hit")
        if not hit.exists():
            return False
        hit.unlink()
        return True

    def report(self, bots: list[str], drawdown: float) -> None:
        """Publish a record of each bot; while Redis is away, until it is back."""
        for bot in bots:
            record = {"kind": "performance", "bot": bot, "portfolioValue": 1, "maxDrawdown": drawdown}
            wait_until(partial(self._publish, json.dumps(record)), "Redis takes a record")

    def _publish(self, record: str) -> bool:
        try:
            return bool(self.redis.xadd("bot:metrics:stream", {"data": record}))
        except RedisError:
            return False

    def _redis_pid(self) -> int:
        """Find the server; supervisor gives up on what ends within its first second several times over."""

        def settled() -> int:
            children = psutil.Process(self.stack.process.pid).children(recursive=True)
            lived = {one.pid: time.time() - one.create_time() for one in children if SERVER in one.name()}
            return next((pid for pid, seconds in lived.items() if seconds > SETTLED_S), 0)

        return wait_until(settled, "Redis has run for a moment")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillScenario]:
    """Yield a stack with three channels, whose parts look at their steps whether they are to be killed."""
    folder = tmp_path_factory.mktemp("kills")
    hook, ops, mail = WebhookReceiver(), WebhookReceiver(), MailReceiver()
    config, armed = folder / "config", folder / "armed"
    config.mkdir()
    condition = {"metricName": "maxDrawdown", "threshold": 20, "operator": ">", "severity": "HIGH"}
    alerting = {"alerting": {"conditions": [condition]}}
    (config / "performance_logger.json").write_text(json.dumps(alerting))
    (config / "notifications.yml").write_text(f"""
channels:
  hook: {{ url: "{hook.url}" }}
  ops: {{ url: "{ops.url}", format: alertmanager, perMinute: 9999 }}
  mail:
    email: {{ smtp: 127.0.0.1, port: {mail.port}, from: watch@example.org, to: [ann@example.org] }}
    perMinute: 9999 # no digests: each notice is counted
routes:
  - {{ match: {{ bot: "killed-*" }}, channels: [hook, ops, mail] }}
  - {{ channels: [] }}
""")
    path = f"{Path(__file__).parent / 'killing'}:{REPOSITORY}:{REPOSITORY / 'client'}"
    with botwatch_up(folder, config, PYTHONPATH=path, KILLING=str(armed)) as running:
        scene = KillScenario(running, armed, hook, ops, mail)
        with closing(scene.redis):
            yield scene
    for receiver in (hook, ops, mail):
        receiver.close()


@pytest.fixture(scope="module")
def figures() -> Iterator[list[Line]]:
    """Yield a list of lines, and print what is in it at the end."""
    lines: list[Line] = []
    yield lines
    total = Line(
        "total", f"{len(lines)} kills", sum(x.notices for x in lines), sum(x.deliveries for x in lines)
    )
    print(f"\n{'step':<33} {'killed':<10} {'notices':>7} {'deliveries':>10} {'duplicates':>10}")  # noqa: T201 - figures
    print(*lines, total, sep="\n")  # noqa: T201


@pytest.mark.parametrize(("step", "victim"), CASES)
def test_a_kill_loses_nothing_and_repeats_at_most_one_per_channel(
    step: str, victim: str, scene: KillScenario, figures: list[Line]
) -> None:
    # Names of their own, also where the test before this one failed and its bots' alerts are still open.
    number = CASES.index((step, victim))
    bots = [f"killed-{number}-{name}" for name in range(BOTS)]
    # The second one, so that there is something before and after it.
    word = "" if step in ANY else ("hook" if step == "leased, not handed over" else bots[1])
    scene.arm(step, word, victim)
    scene.report(bots, 50)
    wait_until(scene.was_hit, f"{victim} is killed: {step}")
    scene.report(bots, 3)

    def told() -> list[list[str]]:
        return [scene.told(channel, bot) for channel in CHANNELS for bot in bots]

    wait_until(lambda: all("resolved" in one for one in told()), "everybody is told of the end")
    wait_until(lambda: not scene.pending(), "nothing is sent once more")
    for one in told():
        assert [change for change, _ in groupby(one)] == STORY
    for channel in CHANNELS:
        assert sum(len(scene.told(channel, bot)) - len(STORY) for bot in bots) <= 1, channel
    figures.append(Line(step, victim, len(STORY) * len(told()), sum(map(len, told()))))
