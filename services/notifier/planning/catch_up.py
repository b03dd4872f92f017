"""Catch-up summary: one notification for all alerts that opened and resolved while nothing could be sent."""

from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import Connection

from services.notifier.content.phrasing import join_names
from services.notifier.self_alerts import SelfAlert, build_alert, open_self_alert
from shared.store.alerts import alert_by_id
from shared.store.deliveries import CATCH_UP
from shared.store.outbox import take_suppressed_alerts

CATCH_UP_AGE: Final = timedelta(seconds=60)
"""Notifications of older events wait for `SETTLE_TIME`: the next event may resolve the alert."""
SETTLE_TIME: Final = timedelta(seconds=5)
RESOLVED_BEFORE_NOTIFIED: Final = "resolved before it could be sent"
CATCH_UP_RULE: Final = "botwatch-caught-up"
MAX_LISTED: Final = 20


def write_catch_up_summary(connection: Connection, dashboard_url: str, now: datetime) -> bool:
    """Write the summary of the alerts whose notifications were suppressed; return False if there are none."""
    alerts = [
        alert
        for alert_id in take_suppressed_alerts(connection, CATCH_UP)
        if (alert := alert_by_id(connection, alert_id))
    ]
    if not alerts:
        return False
    names = join_names((f"{alert.details.rule} on {alert.component}" for alert in alerts), MAX_LISTED)
    count = "1 alert" if len(alerts) == 1 else f"{len(alerts)} alerts"
    message = f"{count} opened and resolved while Botwatch was catching up: {names}"
    summary = SelfAlert(CATCH_UP_RULE, (), message, "alerts", len(alerts), 0, "LOW")
    alert = build_alert(summary, "notifier", dashboard_url, now)
    # Resolved from the start: one notification, and no second one when it ends.
    open_self_alert(connection, msgspec.structs.replace(alert, status="RESOLVED", resolved_at=now))
    return True
