"""A story of alerts whose clock the test moves: who is told what, and after how many minutes."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import select

from services.notifier.planning.dispatcher import Channels, Dispatcher
from services.notifier.planning.routing_config import RoutingConfig
from shared.schema import alert_lifecycle
from shared.schema.alert_lifecycle import Evaluation, MuteReason, Transition
from shared.schema.alerts import Alert, Change, Severity, next_severity
from shared.schema.timestamps import from_store
from shared.store import alerts as store
from shared.store import escalations, outbox
from shared.store.alert_changes import acknowledge, apply_transition
from shared.store.database import Database
from shared.store.tables import notifications
from tests.notification_planning import NoWorkers, Silent, deliver, dispatch_all
from tests.unit.notifier.config import NOON, documents
from tests.unit.notifier.config import alert as alert_of

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


class PlanningHarness:
    """A notifier without threads and channels, and what the evaluator and people do."""

    def __init__(self, database: Database, text: str, begin: datetime = NOON) -> None:
        self.database = database
        self.begin = self.now = begin
        self.outlets = self.make_channels(text)
        self.announcer = Silent()
        self.dispatcher = self.dispatching(text)

    def make_channels(self, text: str) -> Channels:  # noqa: ARG002 - for harnesses with channels
        """Return the channels that the dispatcher hands deliveries to."""
        return NoWorkers()

    def dispatching(self, text: str) -> Dispatcher:
        """Return a dispatcher of this `notifications.yml`."""
        return Dispatcher(self.database, self.announcer, self.plan(text), self.outlets)  # type: ignore[arg-type]

    def plan(self, text: str) -> RoutingConfig:
        """Return the plan of this `notifications.yml`."""
        return RoutingConfig.from_documents(documents(text))

    def reload(self, text: str) -> None:
        """Go on by other documents."""
        read = documents(text)
        self.dispatcher.routing = RoutingConfig.from_documents(read)
        with self.database.write() as connection:
            outbox.suppress_unserved(connection, read.channels)
        self.step()

    def step(self) -> None:
        """Dispatch, as woken now, and deliver."""
        dispatch_all(self.dispatcher, self.now)
        self.deliver()

    def deliver(self) -> None:
        """Let every channel take what is due."""
        deliver(self.database, self.now)

    def advance(self, span: timedelta, *, downtime: bool = False) -> None:
        """Let time pass, dispatching whenever something is due; not at all while the notifier is down."""
        end = self.now + span
        while not downtime and (due := self.next_due()) and due <= end:
            self.now = max(self.now, due)
            self.step()
        self.now = end

    def next_due(self) -> datetime | None:
        """Return when a step or a repeat is due."""
        with self.database.read() as connection:
            return escalations.next_escalation_due(connection)

    def open(
        self,
        alert: str = "a1",
        severity: Severity = "HIGH",
        *,
        muted_by: str | None = None,
        dispatch: bool = True,
        **further: Any,
    ) -> None:
        """Open an alert, as the evaluator does."""
        found = msgspec.structs.replace(
            alert_of(severity=severity, **further),
            id=alert, fingerprint=alert, timestamp=self.now, updated_at=self.now,
        )  # fmt: skip
        found.details.muted_by = muted_by
        with self.database.write() as connection:
            store.insert_alert(connection, found)
            store.add_event(connection, found, "opened", self.now)
        if dispatch:
            self.step()

    def change(self, change: Change, alert: str = "a1", *, dispatch: bool = True) -> None:
        """Let happen to an alert what the evaluator may write."""
        with self.database.write() as connection:
            found = store.alert_by_id(connection, alert)
            assert found
            plain = Transition(change, msgspec.structs.replace(found, updated_at=self.now))
            apply_transition(connection, self._transition(found, change) or plain)
        if dispatch:
            self.step()

    def _transition(self, found: Alert, change: Change) -> Transition | None:
        if change == "resolved":
            return alert_lifecycle.resolve(found, self.now)
        if change == "unacknowledged":
            return alert_lifecycle.expire_acknowledgement(found, self.now)
        if change in ("muted", "unmuted"):
            reason = MuteReason("silenced by ann") if change == "muted" else None
            return alert_lifecycle.change_mute(found, reason, self.now)
        levels: dict[Change, Severity] = {"raised": next_severity(found.severity), "lowered": "LOW"}
        details = found.details
        evaluation = Evaluation(
            levels.get(change, found.severity), details.value, details.threshold, found.message,
            details.measure, details.unit,
        )  # fmt: skip
        if change in ("reopened", "flapping"):
            return alert_lifecycle.reopen(found, evaluation, self.now, is_flapping=change == "flapping")
        return alert_lifecycle.update(found, evaluation, self.now)

    def acknowledge(self, alert: str = "a1", until: datetime | None = None, *, dispatch: bool = True) -> None:
        """Let Ann take care."""
        with self.database.write() as connection:
            acknowledge(connection, alert, "ann", None, self.now, until)
        if dispatch:
            self.step()

    def alert(self, alert: str = "a1") -> Alert:
        """Return an alert as it is stored."""
        with self.database.read() as connection:
            found = store.alert_by_id(connection, alert)
        assert found
        return found

    def deliveries(self, alert: str = "a1") -> list[str]:
        """Return the deliveries of an alert: `minute channel change`; what was kept back in brackets."""
        with self.database.read() as connection:
            rows = outbox.delivery_history(connection, alert)
        return [
            f"({row['channel']} {row['change']})"
            if row["state"] == "SUPPRESSED"
            else f"{(row['createdAt'] - self.begin) / MINUTE:g} {row['channel']} {row['change']}"
            for row in rows
        ]

    def rows(self) -> list[dict[str, Any]]:
        """Return the whole outbox, with what tells how each is held and why."""
        columns = notifications.c
        names = ("id", "alertId", "channel", "change", "state", "batch", "heldUntil", "reason", "lastError")
        with self.database.read() as connection:
            found = connection.execute(select(*(columns[name] for name in names)).order_by(columns.id))
            rows = [dict(row) for row in found.mappings()]
        return [{**row, "heldUntil": row["heldUntil"] and from_store(row["heldUntil"])} for row in rows]

    def timeline(self, alert: str = "a1") -> list[str]:
        """Return the changes of an alert."""
        with self.database.read() as connection:
            return [event["change"] for event in store.timeline(connection, alert)]


def channels(*names: str, **sections: str) -> str:
    """Return the section `channels` with these, each at an address of its own."""
    lines = [f"  {name}: {{ url: 'http://127.0.0.1:9/{name}' }}" for name in names]
    lines += [f"  {name}: {section}" for name, section in sections.items()]
    return "\n".join(["channels:", *lines, ""])
