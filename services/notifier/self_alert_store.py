"""Self-alerts in the store: opened and resolved by the part that finds the problem."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection

from shared.schema.alert_lifecycle import expire_acknowledgement, open_alert, resolve
from shared.schema.alerts import Alert
from shared.schema.muting import MuteConfig, MuteEvaluator
from shared.store.alert_changes import apply_mute, apply_transition, apply_with_mute
from shared.store.alerts import open_alerts, open_by_fingerprint
from shared.store.silences import current_silences


def open_self_alert(connection: Connection, alert: Alert, mute_config: MuteConfig) -> Alert | None:
    """Open a self-alert; return it, or None if it is open already."""
    if open_by_fingerprint(connection, alert.fingerprint):
        return None
    muting = _muting(connection, mute_config, alert.updated_at)
    return apply_with_mute(connection, open_alert(alert), muting)[-1].alert


def resolve_self_alert(connection: Connection, fingerprint: str, now: datetime) -> Alert | None:
    """Resolve a self-alert; return it, None if it is not open."""
    alert = open_by_fingerprint(connection, fingerprint)
    transition = resolve(alert, now) if alert else None
    if transition is None:
        return None
    apply_transition(connection, transition)
    return transition.alert


def update_self_alerts(connection: Connection, mute_config: MuteConfig, now: datetime) -> Iterator[Alert]:
    """Apply silences and maintenance windows to open self-alerts, and let their acknowledgements expire.

    Yield the alerts that change. The evaluator does the same for the alerts of rules.
    """
    muting = _muting(connection, mute_config, now)
    for alert in open_alerts(connection):
        if alert.details.origin is None:
            continue
        if expired := expire_acknowledgement(alert, now):
            yield apply_with_mute(connection, expired, muting)[-1].alert
        elif muted := apply_mute(connection, alert, muting, now):
            yield muted.alert


def _muting(connection: Connection, config: MuteConfig, now: datetime) -> MuteEvaluator:
    """Return what mutes self-alerts: no inhibitions, which are among the alerts of rules."""
    return MuteEvaluator(config.without_inhibitions(), current_silences(connection, now))
