"""Acknowledgements: acknowledges alerts for the API and the page that notifications link to."""

from collections.abc import Callable
from datetime import datetime

import structlog
from redis.exceptions import RedisError
from sqlalchemy import Connection

from services.dashboard.data_sources import DataSources
from services.dashboard.request_audit import RequestAudit
from shared.runtime.redis.alert_stream import AlertStreamPublisher
from shared.schema.alerts import Acknowledgement, Alert, BulkAcknowledgement
from shared.schema.durations import to_timedelta
from shared.store import alert_changes, alerts

log = structlog.get_logger()

TRANSACTION = 50
"""Alerts that are acknowledged in one transaction: other parts wait for it."""


class AcknowledgementService:
    """Acknowledges alerts and publishes the change."""

    def __init__(self, sources: DataSources, audit: RequestAudit) -> None:
        self._audit = audit
        self._database = sources.health
        self._announcer = AlertStreamPublisher(sources.redis, sources.health)

    def acknowledge(
        self,
        alert_id: str,
        given: Acknowledgement,
        now: datetime,
        may: Callable[[Alert], bool] = lambda _: True,
    ) -> Alert | None:
        """Acknowledge an open alert of which `may` holds, and announce it; return it as it is then.

        While Redis is down it is stored all the same, and published with the next alert.
        """
        with self._database.write() as connection:
            alert = alerts.alert_by_id(connection, alert_id)
            if alert is None or alert.status == "RESOLVED" or not may(alert):
                return alert
            alert = self._acknowledge(connection, alert, given, now)
        self._publish()
        return alert

    def acknowledge_many(self, given: BulkAcknowledgement, now: datetime) -> dict[str, Alert | None]:
        """Acknowledge the open ones of several alerts and announce them; return each as it is then, by ID.

        None stands for one that does not exist; a resolved one stays as it is.
        """
        found: dict[str, Alert | None] = {}
        ids = [*dict.fromkeys(given.ids)]
        for begin in range(0, len(ids), TRANSACTION):
            with self._database.write() as connection:
                for alert_id in ids[begin : begin + TRANSACTION]:
                    alert = alerts.alert_by_id(connection, alert_id)
                    if alert and alert.status != "RESOLVED":
                        alert = self._acknowledge(connection, alert, given, now)
                    found[alert_id] = alert
        self._publish()
        return found

    def _acknowledge(
        self, connection: Connection, alert: Alert, given: Acknowledgement, now: datetime
    ) -> Alert | None:
        until = now + to_timedelta(given.timeout) if given.timeout is not None else None
        before = _acknowledgement(alert)
        after = alert_changes.acknowledge(connection, alert.id, given.by, given.comment, now, until)
        self._audit.append(
            connection,
            now,
            "alert.acknowledge",
            alert.id,
            by=given.by,
            before=before,
            after=_acknowledgement(after) if after else None,
        )
        log.info("acknowledged", alert=alert.id, by=given.by)
        return after

    def _publish(self) -> None:
        try:
            self._announcer.publish()
        except RedisError as away:
            log.warning("acknowledged; publishing is left to the next alert", error=str(away))


def _acknowledgement(alert: Alert) -> dict[str, object]:
    """Return what an acknowledgement changes, and which alert it is, for the audit log."""
    return {
        "rule": alert.details.rule,
        "component": alert.component,
        "status": alert.status,
        "assignee": alert.assignee,
        "comment": alert.comment,
        "until": alert.acknowledged_until,
    }
