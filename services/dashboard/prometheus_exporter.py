"""The dashboard's own metrics for Prometheus, read from the database at each scrape."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shared.schema.watchdog import LOOPBACK_CHANNEL, WATCHDOG
from shared.store.alerts import count_by_severity, open_alerts
from shared.store.database import Database
from shared.store.deliveries import last_sent
from shared.store.open_positions import largest_positions
from shared.store.outbox import pending_by_channel

MAX_POSITIONS = 1000
"""How many positions have samples, the largest first: Prometheus pays for each series."""


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
            severities = count_by_severity(open_alerts(connection))
            pending = pending_by_channel(connection)
            heard = last_sent(connection, WATCHDOG, LOOPBACK_CHANNEL)
        alerts_open, notifications_pending, watchdog_heard = _families()
        for severity, amount in severities.items():
            alerts_open.add_metric([severity], amount)
        for channel, amount in sorted(pending.items()):
            notifications_pending.add_metric([channel], amount)
        if heard:
            watchdog_heard.add_metric([], heard.timestamp())
        yield from (alerts_open, notifications_pending, watchdog_heard)


def _families() -> tuple[GaugeMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
    return (
        GaugeMetricFamily("botwatch_alerts_open", "Alerts that are not resolved.", labels=["severity"]),
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
            largest, total = largest_positions(connection, MAX_POSITIONS)
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
            f"Open positions without samples: the largest {MAX_POSITIONS} have some.",
            labels=[],
        ),
    )
