"""The watchdog's beat: an alert that always fires, through every part. From: watchdog. To: notifier.

It enters the log as an entry without records: it is no bot's, and in no list.
"""

from datetime import datetime, timedelta

from shared.schema.alerts import Alert, Details

WATCHDOG = "watchdog"
"""The id and the fingerprint of the alert; it is in no list."""
LOOPBACK_CHANNEL = f"{WATCHDOG}:itself"
"""The channel on which Botwatch hears its own beat: what counts is that the delivery is made."""
WATCHDOG_URL_CHANNEL = f"{WATCHDOG}:url"
"""The channel that requests the user's URL."""
BEAT_INTERVAL = timedelta(seconds=5)
"""How often the watchdog sends a beat."""


def watchdog_alert(beat: float, now: datetime) -> Alert:
    """Return the alert as it is at the beat of that moment."""
    return Alert(
        id=WATCHDOG,
        timestamp=now,
        severity="LOW",
        category="CONNECTIVITY",
        component="botwatch",
        message="Watchdog: all parts are up",
        status="ACTIVE",
        details=Details(rule=WATCHDOG, metric="beat", value=beat, operator=">", threshold=0, origin=WATCHDOG),
        fingerprint=WATCHDOG,
        updated_at=now,
    )
