"""Posting alerts: stores what Prometheus, amtool and others send, then wakes the notifier and publishes."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import structlog
from prometheus_client import Counter
from redis.exceptions import RedisError
from sqlalchemy import Connection

from services.dashboard.data_sources import DataSources
from shared.runtime.config.mute_config import parse_mute_config
from shared.runtime.redis.alert_stream import AlertStreamPublisher
from shared.runtime.redis.wake import wake
from shared.schema.alert_lifecycle import Transition
from shared.schema.external_alerts import MAX_ALERTS, PostedAlert, is_firing, parse_alerts
from shared.schema.muting import MuteConfig, MuteEvaluator
from shared.store.alerts import open_alerts
from shared.store.external_alerts import PostedAlertWriter, TooManyOpenError
from shared.store.silences import current_silences

log = structlog.get_logger()

RECEIVED = Counter("botwatch_external_alerts_received", "Posted alerts.", ["status"])


class AlertReceiver:
    """Stores posted alerts: all of a request in one transaction."""

    def __init__(self, sources: DataSources, dashboard_url: str) -> None:
        self._sources = sources
        self._dashboard_url = dashboard_url
        self._publisher = AlertStreamPublisher(sources.redis, sources.health)

    def receive(
        self, items: Sequence[object], now: datetime, may_send: Callable[[PostedAlert], str | None]
    ) -> list[str]:
        """Store the valid ones of `items`; return what is wrong with the others.

        `may_send` says why the sender may not send an alert, None if it may. What this has returned for is
        committed; while Redis is down, the notifier finds it within a second.
        """
        if len(items) > MAX_ALERTS:
            return [f"expected at most {MAX_ALERTS} alerts, got {len(items)}"]
        posted, faults = parse_alerts(items, now)
        allowed = []
        for one in posted:
            refusal = may_send(one)
            faults += [refusal] if refusal else []
            allowed += [] if refusal else [one]
        written = self._store(allowed, faults, now) if allowed else []
        RECEIVED.labels("invalid").inc(len(faults))
        for one in allowed:
            RECEIVED.labels("firing" if is_firing(one, now) else "resolved").inc()
        if written:
            self._announce(written)
        return faults

    def _store(self, posted: Sequence[PostedAlert], faults: list[str], now: datetime) -> list[Transition]:
        written: list[Transition] = []
        refused: list[str] = []
        # Read before the transaction: Redis, which is asked for reloads, may hang.
        load_muting = partial(_load_muting, parse_mute_config(self._sources.documents), now)
        with self._sources.health.write() as connection:
            writer = PostedAlertWriter(connection, load_muting, self._dashboard_url, now)
            for alert in posted:
                try:
                    written += writer.write(alert)
                except TooManyOpenError as error:
                    refused.append(str(error))
        faults += refused
        return written

    def _announce(self, written: Sequence[Transition]) -> None:
        """Log what changed, wake the notifier and publish; repeating that is harmless."""
        for change, alert, *_ in written:
            if change != "updated":
                log.info("external alert", change=change, id=alert.id, severity=alert.severity)
        try:
            if any(each.change != "updated" for each in written):
                wake(self._sources.redis)
            self._publisher.refresh([each.alert for each in written if each.change == "updated"])
            self._publisher.publish()
        except RedisError as error:
            log.warning("alerts stored; publishing is left to the next change", error=str(error))


def _load_muting(config: MuteConfig, now: datetime, connection: Connection) -> MuteEvaluator:
    sources = open_alerts(connection) if config.inhibitions else []
    return MuteEvaluator(config, current_silences(connection, now), sources)
