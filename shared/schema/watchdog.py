"""The watchdog's beat: an alert that always fires, through every part. From: watchdog. To: notifier."""

from datetime import datetime

from shared.schema.alerts import Alert, Details

WATCHDOG = "watchdog"
"""The id and the fingerprint of the alert; it is in no list."""
BOT = "botwatch"
"""The bot in whose name the beat enters the log."""
METRIC = "watchdog"
"""The metric that is the beat: its value is the moment, seconds since the epoch."""


def watchdog_alert(beat: float, now: datetime) -> Alert:
    """Return the alert as it is at the beat of that moment."""
    return Alert(
        id=WATCHDOG,
        timestamp=now,
        severity="LOW",
        category="CONNECTIVITY",
        component=BOT,
        message="The watchdog barks: every part of Botwatch works",
        status="ACTIVE",
        details=Details(rule=WATCHDOG, metric=METRIC, value=beat, operator=">", threshold=0, origin=WATCHDOG),
        fingerprint=WATCHDOG,
        updated_at=now,
    )
