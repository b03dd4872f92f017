"""Metrics of all alerts, whatever changes them: the dispatcher reads each event of their timelines once."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from prometheus_client import Counter, Histogram
from sqlalchemy import Connection

from services.notifier.planning.planner import ESCALATION_CHANGES
from shared.runtime.step_latency import StepLatency
from shared.schema.alerts import SEVERITIES
from shared.schema.watchdog import WATCHDOG
from shared.store.escalations import AlertEvent, opening_before

MINUTE, HOUR, DAY = 60, 3600, 86_400
BUCKETS_S = (
    *(5, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE),
    *(HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, DAY, 7 * DAY),
)
"""From an alert that ends by itself to one that nobody saw for a week."""
MAX_RULES = 1000
OTHER_RULES = "(other)"
"""Stands for the rules after the first `MAX_RULES`: a Prometheus that sends alerts names their rules."""

CHANGES = Counter(
    "botwatch_alert_changes",
    "Changes of alerts that are on their timelines, by rule; an updated value is not.",
    ["rule", "change"],
)
ACKNOWLEDGE = Histogram(
    "botwatch_alert_acknowledge_seconds",
    "From the opening of an alert to its first acknowledgement.",
    ["severity"],
    buckets=BUCKETS_S,
)
RESOLVE = Histogram(
    "botwatch_alert_resolve_seconds",
    "From the opening of an alert to its resolution.",
    ["severity"],
    buckets=BUCKETS_S,
)
_DURATIONS = {"acknowledged": ACKNOWLEDGE, "resolved": RESOLVE}


class AlertMetrics:
    """Counts the events of a batch after its commit."""

    def __init__(self) -> None:
        self._planned = StepLatency("planned")
        self._rules: set[str] = set()
        for severity in SEVERITIES:
            ACKNOWLEDGE.labels(severity)
            RESOLVE.labels(severity)

    def read_durations(self, connection: Connection, events: Sequence[AlertEvent]) -> dict[int, timedelta]:
        """Return how long the alerts were open when they were acknowledged or resolved, by event."""
        ends = [one for one in events if one.change in _DURATIONS and one.alert_id != WATCHDOG]
        openings = {one.id: (one.at, opening_before(connection, one)) for one in ends}
        return {event: at - opened for event, (at, opened) in openings.items() if opened}

    def count(self, events: Sequence[AlertEvent], durations: Mapping[int, timedelta], now: datetime) -> None:
        """Count events that are planned at `now`."""
        for event in events:
            if event.alert_id == WATCHDOG:
                continue
            CHANGES.labels(self._rule(event.rule), event.change).inc()
            if event.id in durations:
                seconds = max(0.0, durations[event.id].total_seconds())
                _DURATIONS[event.change].labels(event.severity).observe(seconds, {"alert": event.alert_id})
            if event.notice and event.change not in ESCALATION_CHANGES:
                self._planned.observe((now - event.at).total_seconds(), event.alert_id)

    def _rule(self, name: str) -> str:
        if name not in self._rules and len(self._rules) >= MAX_RULES:
            return OTHER_RULES
        self._rules.add(name)
        return name
