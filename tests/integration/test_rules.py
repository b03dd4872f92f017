"""Every kind of rule through the public doors: records in by Redis, alerts out by API and webhook."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from redis import Redis

from tests.integration.stack import BotwatchProcess, WebhookAndMailReceivers
from tests.support import wait_until

pytestmark = pytest.mark.integration

METRIC = "kindOfRule"
PLAIN = {"metricName": METRIC, "operator": ">", "threshold": 10, "severity": "MEDIUM"}


class Case(NamedTuple):
    """A rule, what a bot publishes, and what the webhook is told."""

    name: str
    rule: dict[str, Any]
    play: Callable[["Player"], None]
    told: list[str]


class Player:
    """Publishes as one bot, and waits for what it is told."""

    def __init__(self, bus: Redis, receivers: WebhookAndMailReceivers, bot: str) -> None:
        self._bus = bus
        self._receivers = receivers
        self._bot = bot

    def send(self, *values: float, ago_s: float = 0.0, **labels: str) -> None:
        """Publish values, a millisecond apart, the last one as of so long ago."""
        at = int((time.time() - ago_s) * 1000) - len(values)
        for index, value in enumerate(values):
            record = {"kind": "metric", "name": METRIC, "value": value, "timestamp": at + index}
            self.publish(record | ({"labels": labels} if labels else {}))

    def publish(self, record: dict[str, Any]) -> None:
        """Publish one record."""
        self._bus.xadd("bot:metrics:stream", {"data": json.dumps({"bot": self._bot, **record})})

    def told(self, *changes: str) -> None:
        """Wait until the webhook was told exactly that."""
        wait_until(
            lambda: self._receivers.changes(self._bot) == list(changes),
            f"{self._bot} is told {changes}",
        )


def clear_limit(bot: Player) -> None:
    bot.send(12, 8, 7)
    bot.told("opened")
    bot.send(5)


def ladder(bot: Player) -> None:
    bot.send(12, 30, 12, 5)


def for_a_second(bot: Player) -> None:
    bot.send(12, 5)  # too short
    bot.send(12)


def kept(bot: Player) -> None:
    bot.send(12, 5, 12, 5)


def window(bot: Player) -> None:
    bot.send(2, ago_s=1)
    bot.send(25)  # 13.5 on average, until both have left the window


def past(bot: Player) -> None:
    bot.send(10, ago_s=600)
    bot.send(16)


def baseline(bot: Player) -> None:
    for minute in range(20, 0, -1):
        bot.send(100.0 + minute % 3, ago_s=60 * minute)
    bot.send(150)


def few(bot: Player) -> None:
    bot.send(12, 5, 12, 5, 12)


def other(bot: Player) -> None:
    bot.publish({"kind": "performance", "portfolioValue": 100, "totalPnL": -20, "var95Amount": 15})
    bot.told("opened")
    bot.publish({"kind": "performance", "portfolioValue": 100, "totalPnL": -10, "var95Amount": 15})


def combination(bot: Player) -> None:
    bot.publish({"kind": "performance", "portfolioValue": 1, "winRate": 10, "totalTrades": 3})
    bot.publish({"kind": "performance", "portfolioValue": 1, "winRate": 10, "totalTrades": 30})
    bot.told("opened")
    bot.publish({"kind": "performance", "portfolioValue": 1, "winRate": 60, "totalTrades": 31})


def absence(bot: Player) -> None:
    bot.send(1)
    bot.told("opened")
    bot.send(1)
    bot.told("opened", "resolved")
    bot.told("opened", "resolved", "reopened")
    bot.send(1)


def labelled(bot: Player) -> None:
    bot.send(12, venue="kraken")
    bot.send(12, venue="binance")


def flapping(bot: Player) -> None:
    bot.send(*[12, 5] * 6)


CASES = [
    Case("clear", PLAIN | {"clearThreshold": 6}, clear_limit, ["opened", "resolved"]),
    Case(
        "ladder",
        PLAIN | {"levels": [{"threshold": 25, "severity": "CRITICAL"}]},
        ladder,
        ["opened", "raised", "resolved"],
    ),
    Case("for", PLAIN | {"for": "1s"}, for_a_second, ["opened"]),
    Case("keep", PLAIN | {"keepFiringFor": "1s"}, kept, ["opened", "resolved"]),
    Case("avg", PLAIN | {"aggregate": "avg", "window": "4s"}, window, ["opened", "resolved"]),
    Case(
        "past",
        PLAIN | {"threshold": 50, "window": "1m", "comparedWith": {"offset": "10m", "as": "percent"}},
        past,
        ["opened"],
    ),
    Case(
        "baseline",
        PLAIN | {"threshold": 3, "window": "1m", "comparedWith": {"baseline": "30m"}},
        baseline,
        ["opened"],
    ),
    Case("few", PLAIN | {"times": 3, "of": 5}, few, ["opened"]),
    Case(
        "other",
        {
            "metricName": "totalPnL", "operator": "<", "threshold": -100, "severity": "HIGH",
            "comparedWith": {"metricName": "var95Amount", "as": "share"},
        },
        other,
        ["opened", "resolved"],
    ),
    Case(
        "all",
        {
            "kind": "combination", "severity": "HIGH",
            "conditions": [
                {"metricName": "winRate", "operator": "<", "threshold": 30},
                {"metricName": "totalTrades", "operator": ">=", "threshold": 20},
            ],
        },
        combination,
        ["opened", "resolved"],
    ),
    Case(
        "absence",
        {"kind": "absence", "metricName": METRIC, "period": "1s", "grace": "500ms", "severity": "HIGH"},
        absence,
        ["opened", "resolved", "reopened", "resolved", "reopened"],
    ),
    Case("labels", PLAIN | {"labels": {"venue": "bin*"}}, labelled, ["opened"]),
    Case(
        "flapping",
        PLAIN,
        flapping,
        [*["opened", "resolved"], *["reopened", "resolved"] * 3, "flapping"],
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def rules(stack: BotwatchProcess) -> Iterator[None]:
    """Let the stack judge the rules of all cases, each for its own bot."""
    path = stack.home.parent / "config" / "performance_logger.json"
    before = path.read_text()
    document = json.loads(before)
    document["alerting"]["conditions"] = [
        case.rule | {"name": f"rule-{case.name}", "bots": [f"kind-{case.name}"]} for case in CASES
    ]
    path.write_text(json.dumps(document))
    answer = stack.dashboard("/api/monitoring/config/reload", {})
    assert "rules" in answer, answer
    yield
    path.write_text(before)
    stack.dashboard("/api/monitoring/config/reload", {})


@pytest.mark.usefixtures("rules")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_rule_of_each_kind_opens_and_ends(
    case: Case, stack: BotwatchProcess, bus: Redis, receivers: WebhookAndMailReceivers
) -> None:
    bot = f"kind-{case.name}"
    player = Player(bus, receivers, bot)
    case.play(player)
    player.told(*case.told)
    alerts = stack.alerts(bot)
    assert [alert["details"]["rule"] for alert in alerts] == [f"rule-{case.name}"]
    assert (alerts[0]["status"] == "RESOLVED") == (case.told[-1] == "resolved")
