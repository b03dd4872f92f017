"""Status reader: reads what a public status is made of, once in some seconds however many ask."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import CurrentState, DataSources
from services.dashboard.status_page.public_status import (
    RECENT,
    CheckDays,
    PublicStatus,
    StatusSources,
    days_of_checks,
    first_day,
    public_status,
)
from services.dashboard.status_page.selection import Selection
from services.dashboard.timed_cache import TimedCache
from shared.rules.loader import CHECK_RULES
from shared.runtime.clock import Clock
from shared.runtime.config.documents import Documents
from shared.runtime.config.mute_config import parse_mute_config
from shared.runtime.redis.presence import EXPECTED_PARTS
from shared.schema.records import AnyRecord, Check
from shared.store.alerts import AlertFilter, list_alerts, open_alerts
from shared.store.check_history import check_spans_since

MAX_AGE = timedelta(seconds=5)
"""How old an answer may be."""
HISTORY_MAX_AGE = timedelta(minutes=1)
MAX_RESOLVED = 500
"""How many resolved alerts are looked through for those that are shown."""


class StatusReader:
    """Reads the status of what is shown: what the settings choose, or everything while the page is off."""

    def __init__(self, settings: DashboardSettings, sources: DataSources, clock: Clock) -> None:
        """Take the selection from the settings. Raises InvalidError for wrong ones."""
        chosen = Selection.from_settings(settings)
        self._selection = chosen if settings.status_page == "on" else Selection()
        self._title = settings.status_page_title
        self._sources = sources
        self._clock = clock
        self._statuses: TimedCache[PublicStatus] = TimedCache(MAX_AGE, clock)
        self._histories: TimedCache[Mapping[str, CheckDays]] = TimedCache(HISTORY_MAX_AGE, clock)

    def read(self) -> PublicStatus:
        """Return the status; at most `MAX_AGE` old."""
        return self._statuses.get("", self._read)

    def _read(self) -> PublicStatus:
        now, documents = self._clock(), self._sources.documents
        known = self._sources.read_current(now)
        with self._sources.health.read() as connection:
            active = open_alerts(connection)
            recent = AlertFilter(status=("RESOLVED",), since=now - RECENT)
            resolved = list_alerts(connection, recent, limit=MAX_RESOLVED)
        sources = StatusSources(
            records=known.records,
            open_alerts=active,
            resolved=resolved,
            days=self._histories.get("", lambda: self._read_days(known.records, now)),
            windows=parse_mute_config(documents).windows,
            named_rules=_named_rules(documents),
            currency_of=self._sources.configured_currency,
            impaired=_is_impaired(known),
        )
        return public_status(self._title, self._selection, sources, now)

    def _read_days(self, records: list[AnyRecord], now: datetime) -> Mapping[str, CheckDays]:
        kinds = {(record.host, record.check): record.type for record in records if isinstance(record, Check)}
        with self._sources.health.read() as connection:
            found = check_spans_since(connection, first_day(now))
        shown = (
            (one.check, one.spans)
            for one in found
            if self._selection.shows_check(one.check, kinds.get((one.host, one.check)))
        )
        return days_of_checks(shown, now)


def _is_impaired(known: CurrentState) -> bool:
    """Return whether a part of Botwatch is gone, so that the values may be old."""
    is_gone = any(not alive for _, alive in known.parts.values())
    return known.redis_fault is not None or is_gone or bool(EXPECTED_PARTS - known.parts.keys())


def _named_rules(documents: Documents) -> frozenset[str]:
    named = {condition.name for condition in documents.performance.alerting.conditions if condition.name}
    return frozenset(named | {name for name, _ in CHECK_RULES.values()})
