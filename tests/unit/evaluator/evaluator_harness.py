"""Harness: an evaluator on a real Valkey and SQLite, with a clock and silences that tests control."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from redis import Redis

from services.evaluator.evaluator import Evaluator
from shared.runtime import clock
from shared.runtime.config.documents import AlertingSection, Documents, HealthMonitor, PerformanceLogger
from shared.runtime.config.notifications import Notifications
from shared.runtime.config.rules import load_rules
from shared.runtime.redis.record_log import RecordLog
from shared.schema import redis_keys
from shared.schema.alerts import Alert
from shared.schema.conditions import Condition
from shared.schema.muting import MuteConfig
from shared.schema.records import Metric
from shared.schema.silences import Matcher, SilenceRequest
from shared.store import alerts as store
from shared.store import outbox
from shared.store.alert_changes import acknowledge
from shared.store.database import Database
from shared.store.silences import end_silence, put_silence
from tests.notification_planning import dispatch_due

HOUR = timedelta(hours=1)
CONDITIONS = [
    {"name": "heat", "metricName": "heat", "operator": ">", "threshold": 10, "severity": "MEDIUM",
     "levels": [{"threshold": 20, "severity": "CRITICAL"}]},
    {"name": "fire", "metricName": "fire", "operator": ">", "threshold": 0, "severity": "CRITICAL"},
]  # fmt: skip
INHIBIT = [{"source": {"alertname": "fire"}, "target": {"alertname": "heat"}, "equal": ["bot"]}]


def documents(**notifications: Any) -> Documents:
    alerting = AlertingSection(conditions=msgspec.convert(CONDITIONS, list[Condition]))
    return Documents(
        PerformanceLogger(alerting=alerting),
        HealthMonitor(),
        msgspec.convert(notifications, Notifications),
    )


class EvaluatorHarness:
    """An evaluator, the log before it, and the store behind it."""

    def __init__(self, redis: Redis, health: Database, policy: MuteConfig) -> None:
        self._redis = redis
        self._health = health
        self._policy = policy
        self.shift = timedelta(0)
        """How far the log's clock is ahead of the real one."""
        self.start()

    def start(self) -> None:
        """Start an evaluator."""
        log, rules = RecordLog(self._redis), load_rules(documents())
        self.evaluator = Evaluator(
            log,
            self._health,
            rules,
            "http://page",
            threading.Event(),
            lambda: log.clock.now_ms() + self.shift // timedelta(milliseconds=1),
            self._policy,
        )
        self.evaluator.start()

    def restart(self) -> None:
        """Kill the evaluator, and let another one read again what was not stored."""
        self.start()
        self.evaluator.step()

    def now(self) -> datetime:
        """Return the time of the log."""
        return clock.now() + self.shift

    def send_metric(self, value: float, metric: str = "heat", bot: str = "a") -> None:
        """Let a bot report a metric, and the evaluator judge it."""
        entry = f"{int(self.now().timestamp() * 1000)}-*" if self.shift else "*"
        record = Metric(bot=bot, name=metric, value=value, timestamp=self.now())
        self._redis.xadd(redis_keys.record_stream(), {"data": msgspec.json.encode([record])}, id=entry)
        self.evaluator.step()

    def apply_mutes(self) -> None:
        """Let the evaluator look at silences and acknowledgements, though no record comes."""
        self.shift += timedelta(seconds=1)
        self.evaluator.step()

    def silence(self, *matchers: Matcher, by: str = "ann", **further: Any) -> str:
        """Begin a silence and return its id."""
        fields: dict[str, Any] = {
            "matchers": list(matchers),
            "ends_at": self.now() + HOUR,
            "created_by": by,
        } | further
        with self._health.write() as connection:
            silence = put_silence(connection, SilenceRequest(**fields), f"silence-{by}", self.now())
        assert silence
        return silence.id

    def end(self, silence: str, by: str) -> None:
        """End a silence."""
        with self._health.write() as connection:
            end_silence(connection, silence, self.now(), by)

    def acknowledge(self, by: str, until: datetime | None = None) -> None:
        """Acknowledge the only alert."""
        with self._health.write() as connection:
            acknowledge(connection, self.alert().id, by, "mine", self.now(), until)

    def alert(self, rule: str = "heat") -> Alert:
        """Return the only alert of a rule."""
        with self._health.read() as connection:
            found = store.list_alerts(connection, limit=100)
        (alert,) = (alert for alert in found if alert.details.rule == rule)
        return alert

    def timeline(self, rule: str = "heat") -> list[str]:
        """Return the changes of the only alert of a rule."""
        return [event["change"] for event in self.events(rule)]

    def events(self, rule: str = "heat") -> list[dict[str, Any]]:
        """Return the events of the only alert of a rule."""
        with self._health.read() as connection:
            return store.timeline(connection, self.alert(rule).id)

    def deliveries(self, channel: str = "webhook") -> list[str]:
        """Return what a channel is told of the alert `heat`; what is kept back in brackets."""
        dispatch_due(self._health, self.now())
        with self._health.read() as connection:
            rows = outbox.delivery_history(connection, self.alert().id)
        return [
            f"({row['change']})" if row["state"] == "SUPPRESSED" else row["change"]
            for row in rows
            if row["channel"] == channel
        ]


StartEvaluator = Callable[..., EvaluatorHarness]
BOT_A = Matcher("bot", "a")
