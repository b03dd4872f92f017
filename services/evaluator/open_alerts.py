"""Open alerts: commits changes to alerts of rules and to external ones, then wakes and publishes.

One transaction holds the changes, their timeline events and the log offset. Waking the notifier and
publishing come after the commit; both are safe to repeat.
"""

from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from uuid import uuid4

import structlog
from prometheus_client import Counter
from redis import Redis
from redis.exceptions import RedisError

from services.evaluator.alert_writer import AlertChange, AlertWriter
from services.evaluator.external_alerts import ExternalAlerts
from services.evaluator.mute_schedule import MuteSchedule
from shared.rules.engine import RuleEvent
from shared.rules.rule_result import is_too_soon, next_transition
from shared.rules.subject import Key, alert_key
from shared.runtime.redis.alert_stream import AlertStreamPublisher
from shared.runtime.redis.connection import BLOCK_MS
from shared.runtime.redis.wake import wake
from shared.schema import redis_keys
from shared.schema.alert_lifecycle import Transition
from shared.schema.alerts import Alert
from shared.schema.muting import MuteConfig, MuteEvaluator
from shared.schema.timestamps import from_epoch_ms
from shared.schema.watchdog import watchdog_alert
from shared.store.alert_changes import apply_transition
from shared.store.alerts import open_alerts
from shared.store.database import Database
from shared.store.log_offsets import write_offset
from shared.store.retrying_writer import RetryingWriter
from shared.store.silences import current_silences
from shared.store.tables import health_position

log = structlog.get_logger()

CHANGES = Counter("botwatch_evaluator_changes", "Alert changes.", ["change"])


class OpenAlerts:
    """The open alerts as last committed; the evaluator changes alerts only through it."""

    def __init__(
        self,
        redis: Redis,
        database: Database,
        writer: RetryingWriter,
        dashboard_url: str,
        mute_config: MuteConfig,
    ) -> None:
        self._redis = redis
        self._database = database
        self._writer = writer
        self._dashboard_url = dashboard_url
        self._publisher = AlertStreamPublisher(redis, database)
        self.mute_config = mute_config
        self._schedule = MuteSchedule(database, mute_config)
        self.by_key: dict[Key, Alert] = {}
        """The alerts of rules."""
        self._external = ExternalAlerts(database)

    def load(self) -> None:
        """Load the open alerts of rules."""
        with self._database.read() as connection:
            found = open_alerts(connection)
        self.by_key = {alert_key(alert): alert for alert in found if is_of_rule(alert)}

    def reload(self, mute_config: MuteConfig) -> None:
        """Use other maintenance windows and inhibitions."""
        self.mute_config = mute_config
        self._schedule = MuteSchedule(self._database, mute_config)

    def changes_of(self, events: Iterable[RuleEvent]) -> list[AlertChange]:
        """Return the changes that rule events cause, in order.

        Whether there is anything new is decided by the alerts as the evaluator knows them, without a
        transaction; what it does to an alert is decided when it is written.
        """
        known: dict[Key, Alert] = {}
        changes = []
        for event in events:
            alert = known.get(event.key) or self.by_key.get(event.key)
            step = partial(next_transition, event, uuid4().hex, self._dashboard_url)
            transition = step(alert)
            if transition and not is_too_soon(transition, alert):
                known[event.key] = transition.alert
                changes.append(AlertChange(event.key, from_epoch_ms(event.at), step))
        return changes

    def ms_until_due(self, now: int) -> int:
        """Return the milliseconds from `now` (epoch milliseconds) until `due_changes` may return any."""
        return self._schedule.ms_until_due(now) if self._changeable else BLOCK_MS

    def due_changes(self, now: datetime) -> list[AlertChange]:
        """Return the changes due to silences, windows, inhibitions and expired acknowledgements."""
        if self._external.refresh(now):
            self._schedule.invalidate()
        return self._schedule.due_changes(self._changeable, now)

    @property
    def _changeable(self) -> Mapping[Key, Alert]:
        """The open alerts that the evaluator changes: not those of other parts about Botwatch itself."""
        return ChainMap(self.by_key, self._external.by_key) if self._external.by_key else self.by_key

    def end_timed_out(self, now: datetime) -> None:
        """Resolve the external alerts that ended without being sent again."""
        written: list[Transition] = []

        def write() -> None:
            with self._database.write() as connection:
                written[:] = self._external.end_timed_out(connection, now)

        if self._external.has_timed_out(now) and self._writer.write_until_done(write):
            self._wake_and_publish(written)
            self._record(written)

    def commit(self, changes: Sequence[AlertChange], offset: str) -> bool:
        """Write `changes` and the log offset; then wake and publish. False: the part stopped before."""
        written: list[Transition] = []
        current: dict[Key, Alert | None] = {}

        def write() -> None:
            nonlocal current
            with self._database.write() as connection:
                silences = current_silences(connection, min(change.at for change in changes))
                known = self._changeable
                muting = MuteEvaluator(self.mute_config, silences, known.values())
                writing = AlertWriter(connection, known, muting)
                written[:] = [each for change in changes for each in writing.write(change)]
                current = writing.current
                write_offset(connection, health_position, redis_keys.EVALUATOR_GROUP, offset)

        if not self._writer.write_until_done(write):
            return False
        for key, alert in current.items():
            held = self._external.by_key if key in self._external.by_key else self.by_key
            if alert is None or alert.status == "RESOLVED":
                held.pop(key, None)
            else:
                held[key] = alert
        self._wake_and_publish(written)
        self._record(written)
        return True

    def _record(self, written: Iterable[Transition]) -> None:
        """Count and log transitions, and check mutes again where one may mute other alerts.

        It comes after the wake: a line of the log takes about as long as everything before.
        """
        for change, alert, *_ in written:
            CHANGES.labels(change).inc()
            if change == "muted" or (self.mute_config.inhibitions and change not in ("updated", "unmuted")):
                self._schedule.invalidate()
            if change != "updated":
                log.info("alert", change=change, id=alert.id, severity=alert.severity, message=alert.message)

    def store_beat(self, beat: float, now: datetime) -> None:
        """Write the watchdog beat; repeating it after a crash is harmless."""

        def write() -> None:
            with self._database.write() as connection:
                apply_transition(connection, Transition("repeated", watchdog_alert(beat, now)))

        if self._writer.write_until_done(write):
            self._wake()

    def _wake_and_publish(self, written: Sequence[Transition]) -> None:
        """Wake the notifier and publish events; its polling and the next publication repair a failure."""
        if any(each.change != "updated" for each in written):
            self._wake()
        try:
            self._publisher.refresh([each.alert for each in written if each.change == "updated"])
        except RedisError as error:
            log.warning("could not publish updated values; retrying with the next update", error=str(error))
        self.publish()

    def _wake(self) -> None:
        try:
            wake(self._redis)
        except RedisError as error:
            log.warning("could not wake the notifier; it polls every second", error=str(error))

    def publish(self) -> None:
        """Publish all events that have not been published."""
        try:
            self._publisher.publish()
        except RedisError as error:
            log.warning("could not publish alert events; retrying with the next change", error=str(error))


def is_of_rule(alert: Alert) -> bool:
    """Return whether a rule opened an alert; else a part of Botwatch did, or another program."""
    return alert.details.origin is None and alert.details.external is None
