"""Catching up: what opened and ended while nothing could be notified is reported once, in a summary."""

from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import Connection

from services.notifier.content.words import listed
from services.notifier.trouble import Trouble, alert_of, open_trouble
from shared.store.alerts import alert_by_id
from shared.store.deliveries import CATCH_UP
from shared.store.outbox import withdrawn

LATE: Final = timedelta(seconds=60)
"""A notice of an event longer ago than that waits for `SETTLE`: the next event may end the alert."""
SETTLE: Final = timedelta(seconds=5)
OVER: Final = "over before anybody could be notified"
RULE: Final = "botwatch-caught-up"
MOST_LISTED: Final = 20


def summarize(connection: Connection, dashboard_url: str, now: datetime) -> bool:
    """Write the summary of the alerts whose notices were withdrawn; False when there are none."""
    alerts = [alert for one in withdrawn(connection, CATCH_UP) if (alert := alert_by_id(connection, one))]
    if not alerts:
        return False
    names = listed((f"{alert.details.rule} on {alert.component}" for alert in alerts), MOST_LISTED)
    count = "1 alert" if len(alerts) == 1 else f"{len(alerts)} alerts"
    message = f"{count} opened and ended while Botwatch was catching up: {names}"
    trouble = Trouble(RULE, (), message, "alerts", len(alerts), 0, "LOW")
    alert = alert_of(trouble, "notifier", dashboard_url, now)
    # Nothing of it is open: one notice, and no end to wait for.
    open_trouble(connection, msgspec.structs.replace(alert, status="RESOLVED", resolved_at=now))
    return True
