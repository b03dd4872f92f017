"""The dashboard's own metrics for Prometheus, read from the database at each scrape."""

from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shared.schema.alerts import SEVERITIES, Alert
from shared.schema.watchdog import LOOPBACK_CHANNEL, WATCHDOG
from shared.store.alerts import count_by_severity, open_alerts
from shared.store.database import Database
from shared.store.deliveries import last_sent
from shared.store.open_positions import largest_positions
from shared.store.outbox import pending_by_channel

MAX_ALERTS = 1000
"""How many open alerts have a sample, the most severe and newest first."""
MAX_POSITIONS = 1000
"""How many positions have samples, the largest first: Prometheus pays for each series."""
MAX_POSITIONS_PER_BOT = 500
"""A bot with more has no samples of them: its largest ones may change with each scrape."""


class DashboardInfo(Collector):
    """The metric `botwatch_dashboard_info`: always 1, its label `url` is where people reach the page."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metric."""
        info = GaugeMetricFamily(
            "botwatch_dashboard_info", "Address of the page, for links of alerts to runbooks.", labels=["url"]
        )
        info.add_metric([self._url], 1)
        yield info


class AlertMetricsCollector(Collector):
    """Open alerts by severity, pending notifications by channel, the watchdog's last beat."""

    def __init__(self, health: Database) -> None:
        self._health = health

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Return the families without samples: registering must not open the database before the fork."""
        yield from _families()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read the samples."""
        with self._health.read() as connection:
            found = open_alerts(connection)
            pending = pending_by_channel(connection)
            last_beat = last_sent(connection, WATCHDOG, LOOPBACK_CHANNEL)
        alerts_open, firing, firing_dropped, notifications_pending, watchdog_heard = _families()
        for severity, amount in count_by_severity(found).items():
            alerts_open.add_metric([severity], amount)
        listed = sorted(found, key=_urgency, reverse=True)[:MAX_ALERTS]
        for labels in dict.fromkeys(map(_alert_labels, listed)):
            firing.add_metric(labels, 1)
        firing_dropped.add_metric([], len(found) - len(listed))
        for channel, amount in sorted(pending.items()):
            notifications_pending.add_metric([channel], amount)
        if last_beat:
            watchdog_heard.add_metric([], last_beat.timestamp())
        yield from (alerts_open, firing, firing_dropped, notifications_pending, watchdog_heard)


def _urgency(alert: Alert) -> tuple[int, datetime]:
    return SEVERITIES.index(alert.severity), alert.timestamp


def _alert_labels(alert: Alert) -> tuple[str, ...]:
    details = alert.details
    return details.rule, details.bot or "", details.host or "", alert.severity


def _families() -> tuple[GaugeMetricFamily, ...]:
    return (
        GaugeMetricFamily("botwatch_alerts_open", "Alerts that are not resolved.", labels=["severity"]),
        GaugeMetricFamily(
            "botwatch_alert_firing",
            "1 for each rule, bot or host, and severity with an alert that is not resolved.",
            labels=["rule", "bot", "host", "severity"],
        ),
        GaugeMetricFamily(
            "botwatch_alert_firing_dropped",
            f"Open alerts without a sample: the {MAX_ALERTS} most severe and newest have one.",
            labels=[],
        ),
        GaugeMetricFamily("botwatch_notifications_pending", "Notices not yet delivered.", labels=["channel"]),
        GaugeMetricFamily(
            "botwatch_watchdog_heard_timestamp_seconds", "When the watchdog's beat last came through."
        ),
    )


class PositionMetricsCollector(Collector):
    """Open positions of bots by symbol and side, the largest ones; and how many are left out."""

    def __init__(self, performance: Database) -> None:
        self._performance = performance

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Return the families without samples: registering must not open the database before the fork."""
        yield from _position_families()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read the samples."""
        with self._performance.read() as connection:
            largest, total = largest_positions(connection, MAX_POSITIONS, MAX_POSITIONS_PER_BOT)
        quantity, notional, profit, dropped = _position_families()
        for one in largest:
            labels = [one.bot, one.symbol, one.side]
            quantity.add_metric(labels, one.quantity)
            # A sum without what is undefined would be wrong.
            if one.notional is not None and not one.undefined:
                notional.add_metric(labels, abs(one.notional))
                if one.unrealized_pnl is not None:
                    profit.add_metric(labels, one.unrealized_pnl)
        dropped.add_metric([], total - len(largest))
        yield from (quantity, notional, profit, dropped)


def _position_families() -> tuple[GaugeMetricFamily, ...]:
    labels = ["bot", "symbol", "side"]
    return (
        GaugeMetricFamily("botwatch_bot_position_quantity", "Quantity of an open position.", labels=labels),
        GaugeMetricFamily(
            "botwatch_bot_position_notional", "Notional of an open position, account currency.", labels=labels
        ),
        GaugeMetricFamily(
            "botwatch_bot_position_unrealized_pnl",
            "Unrealised P&L of an open position, account currency.",
            labels=labels,
        ),
        GaugeMetricFamily(
            "botwatch_bot_positions_dropped",
            f"Open positions without samples: the largest {MAX_POSITIONS} have some,"
            f" of bots with up to {MAX_POSITIONS_PER_BOT}.",
            labels=[],
        ),
    )
