"""Acknowledgements: acknowledges alerts for the API and the page that notifications link to."""

from collections.abc import Callable
from datetime import datetime

import structlog
from redis.exceptions import RedisError

from services.dashboard.data_sources import DataSources
from services.dashboard.request_audit import RequestAudit
from shared.runtime.redis.alert_stream import AlertStreamPublisher
from shared.schema.alerts import Acknowledgement, Alert
from shared.schema.durations import to_timedelta
from shared.store import alert_changes, alerts

log = structlog.get_logger()


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
        until = now + to_timedelta(given.timeout) if given.timeout is not None else None
        with self._database.write() as connection:
            alert = alerts.alert_by_id(connection, alert_id)
            if alert is None or alert.status == "RESOLVED" or not may(alert):
                return alert
            before = _acknowledgement(alert)
            alert = alert_changes.acknowledge(connection, alert_id, given.by, given.comment, now, until)
            after = _acknowledgement(alert) if alert else None
            self._audit.append(
                connection, now, "alert.acknowledge", alert_id, by=given.by, before=before, after=after
            )
        log.info("acknowledged", alert=alert_id, by=given.by)
        try:
            self._announcer.publish()
        except RedisError as away:
            log.warning(
                "acknowledged; publishing is left to the next alert",
                alert=alert_id,
                error=str(away),
            )
        return alert


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
