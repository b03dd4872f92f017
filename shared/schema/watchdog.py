"""The watchdog beat: an always-firing alert that passes through every part. From: watchdog. To: notifier.

It enters the log as an entry without records; it belongs to no bot and is not listed anywhere.
"""

from datetime import datetime, timedelta

from shared.schema.alerts import Alert, Details

WATCHDOG = "watchdog"
"""ID and fingerprint of the alert; it is not listed anywhere."""
LOOPBACK_CHANNEL = f"{WATCHDOG}:itself"
"""The channel on which Botwatch receives its own beat."""
WATCHDOG_URL_CHANNEL = f"{WATCHDOG}:url"
"""The channel that requests the user's URL."""
BEAT_INTERVAL = timedelta(seconds=5)
"""How often the watchdog sends a beat."""


def watchdog_alert(beat: float, now: datetime) -> Alert:
    """Return the alert for a beat; `beat` is its time in epoch seconds."""
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
