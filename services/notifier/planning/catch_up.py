"""Catching up: what opened and ended while nothing could be notified is reported once, in a summary."""

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
"""A notice of an event longer ago than that waits for `SETTLE`: the next event may end the alert."""
SETTLE_TIME: Final = timedelta(seconds=5)
RESOLVED_BEFORE_NOTIFIED: Final = "resolved before it could be sent"
CATCH_UP_RULE: Final = "botwatch-caught-up"
MAX_LISTED: Final = 20


def write_catch_up_summary(connection: Connection, dashboard_url: str, now: datetime) -> bool:
    """Write the summary of the alerts whose notices were withdrawn; False when there are none."""
    alerts = [
        alert
        for one in take_suppressed_alerts(connection, CATCH_UP)
        if (alert := alert_by_id(connection, one))
    ]
    if not alerts:
        return False
    names = join_names((f"{alert.details.rule} on {alert.component}" for alert in alerts), MAX_LISTED)
    count = "1 alert" if len(alerts) == 1 else f"{len(alerts)} alerts"
    message = f"{count} opened and resolved while Botwatch was catching up: {names}"
    trouble = SelfAlert(CATCH_UP_RULE, (), message, "alerts", len(alerts), 0, "LOW")
    alert = build_alert(trouble, "notifier", dashboard_url, now)
    # Nothing of it is open: one notice, and no end to wait for.
    open_self_alert(connection, msgspec.structs.replace(alert, status="RESOLVED", resolved_at=now))
    return True
