"""The evaluator's shell: batches of the log through the rules, changes into the store, then the word out.

One transaction holds an alert's change, its place on the timeline, its deliveries and the position in the
log. Announcing and waking the notifier come after it; both are safe to repeat.
"""

import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
import structlog
from prometheus_client import Counter
from redis.exceptions import RedisError
from sqlalchemy import Connection

from services.evaluator.lifecycle import Key, Observation, Transition, key_of, resolve, transition
from services.evaluator.rules.threshold import Threshold, judge
from services.evaluator.values import RuleIndex, subject_of
from shared.runtime.announce import Announcer
from shared.runtime.jobs import wake
from shared.runtime.log import RecordLog
from shared.runtime.reader import Entry, GroupReader
from shared.schema import streams
from shared.schema.alerts import NOTIFIED, Alert, Change, Notice
from shared.store import alerts as store
from shared.store.database import Database
from shared.store.outbox import add_notice
from shared.store.patience import PatientWriter
from shared.store.positions import after, believable, read_position, write_position
from shared.store.tables import health_position

log = structlog.get_logger()

READ = 500

RECORDS = Counter("botwatch_evaluator_records", "Records judged.")
CHANGES = Counter("botwatch_evaluator_changes", "Changes of alerts.", ["change"])


class Written(NamedTuple):
    """A change as it stands in the store, and the channels that will be told of it."""

    change: Change
    alert: Alert
    channels: list[str]


class Evaluator:
    """Reads the log as the group `evaluator`."""

    def __init__(
        self,
        record_log: RecordLog,
        database: Database,
        rules: Sequence[Threshold],
        channels: Sequence[str],
        dashboard_url: str,
        stopping: threading.Event,
        now: Callable[[], datetime],
    ) -> None:
        self._log = record_log
        self._reader = GroupReader(record_log, streams.EVALUATOR_GROUP, batch=READ)
        self._database = database
        self._announcer = Announcer(record_log.redis, database)
        self._index = RuleIndex(rules)
        self._rules = {rule.name for rule in rules}
        self._channels = channels
        self._dashboard_url = dashboard_url
        self._writer = PatientWriter(stopping)
        self._now = now
        self._open: dict[Key, Alert] = {}
        self._position = ""

    def start(self) -> None:
        """Take up the store's state, resolve what no rule speaks of any more, say what was left unsaid."""
        with self._database.read() as connection:
            self._open = {key_of(alert): alert for alert in store.open_alerts(connection)}
        self._find_position()
        now = self._now()
        orphans = [alert for alert in self._open.values() if alert.details.rule not in self._rules]
        ended = [resolve(alert, now, comment="its rule was removed") for alert in orphans]
        self._apply(ended, self._position)
        self._announce()

    def _find_position(self) -> None:
        with self._database.read() as connection:
            known = read_position(connection, health_position, streams.EVALUATOR_GROUP, self._log.partition)
        self._position = believable(known, self._log.newest())

    def step(self) -> None:
        """Judge the next entries, waiting a moment for them."""
        entries = self._reader.read()
        if self._reader.was_lost():
            self._find_position()
        if not entries:
            return
        fresh = [entry for entry in entries if after(entry.id, self._position)]
        changes = self._judge(fresh)
        if changes and not self._apply(changes, fresh[-1].id):
            return
        self._reader.acknowledge(entries)
        RECORDS.inc(sum(len(entry.records) for entry in fresh))

    def check(self) -> str:
        """Raise what keeps the evaluator from writing."""
        self._writer.check()
        return f"{len(self._open)} alerts open"

    def _judge(self, entries: Iterable[Entry]) -> list[Transition]:
        """Return the changes that `entries` bring, in order, leaving the state as it is."""
        now = self._now()
        state: dict[Key, Alert | None] = {}
        changes = []
        for entry in entries:
            for record in entry.records:
                subject = subject_of(record)
                for value, rules in self._index.values(record):
                    for rule in rules:
                        verdict = judge(rule, value)
                        key = Key(rule.name, subject)
                        known = state[key] if key in state else self._open.get(key)
                        if verdict is None and known is None:
                            continue
                        seen = Observation(rule, subject, value, verdict)
                        change = transition(known, seen, uuid.uuid4().hex, now)
                        if change:
                            changes.append(change)
                            state[key] = None if change.change == "resolved" else change.alert
        return changes

    def _apply(self, changes: Sequence[Transition], position: str) -> bool:
        """Write `changes` until it succeeds, then tell; False when the part is to stop before that."""
        written: list[Written] = []

        def write() -> None:
            with self._database.write() as connection:
                written[:] = [self._write(connection, change) for change in changes]
                write_position(
                    connection, health_position, streams.EVALUATOR_GROUP, self._log.partition, position
                )

        if not self._writer.until_done(write):
            return False
        self._position = position
        self._remember(written)
        self._tell(written)
        return True

    def _write(self, connection: Connection, change: Transition) -> Written:
        """Write one change with what follows from it."""
        alert = change.alert
        stored = None if change.change == "opened" else store.alert_by_id(connection, alert.id)
        if stored:
            alert = _merge(stored, alert)
            store.update_alert(connection, alert)
        else:  # new, or its row was deleted by hand
            alert.details.links = self._links(alert)
            store.insert_alert(connection, alert)
        if change.change == "updated":
            return Written(change.change, alert, [])
        event = store.add_event(connection, alert.id, change.change, alert.updated_at)
        if change.change not in NOTIFIED:
            return Written(change.change, alert, [])
        notice = Notice(**msgspec.structs.asdict(alert), change=change.change)
        told = add_notice(connection, event, notice, self._channels, alert.updated_at)
        return Written(change.change, alert, told)

    def _links(self, alert: Alert) -> dict[str, str]:
        return {
            "alert": f"{self._dashboard_url}/#{alert.id}",
            "acknowledge": f"{self._dashboard_url}/api/monitoring/alerts/{alert.id}/acknowledge",
        }

    def _remember(self, written: Iterable[Written]) -> None:
        for change, alert, _ in written:
            if change == "resolved":
                self._open.pop(key_of(alert), None)
            else:
                self._open[key_of(alert)] = alert
            CHANGES.labels(change).inc()
            if change != "updated":
                log.info("alert", change=change, id=alert.id, severity=alert.severity, message=alert.message)

    def _tell(self, written: Sequence[Written]) -> None:
        """Wake the notifier and announce; its sweep and the next announcement mend a failure."""
        try:
            for channel in {channel for one in written for channel in one.channels}:
                wake(self._log.redis, channel)
            self._announcer.refresh([one.alert for one in written if one.change == "updated"])
        except RedisError as error:
            log.warning("could not tell; it will be made up for", error=str(error))
        self._announce()

    def _announce(self) -> None:
        try:
            self._announcer.announce()
        except RedisError as error:
            log.warning("could not announce; the next announcement will", error=str(error))


def _merge(stored: Alert, judged: Alert) -> Alert:
    """Return what was judged, with what people did to the stored alert meanwhile."""
    return msgspec.structs.replace(
        judged,
        status="RESOLVED" if judged.status == "RESOLVED" else stored.status,
        assignee=stored.assignee,
        acknowledged_at=stored.acknowledged_at,
        comment=stored.comment or judged.comment,
        details=msgspec.structs.replace(judged.details, links=stored.details.links),
    )
