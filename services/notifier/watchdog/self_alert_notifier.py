"""Raised: an alert of the watchdog's, from opening to its end, and that somebody was told of it."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from services.notifier.self_alerts import open_self_alert, resolve_self_alert
from services.notifier.watchdog.out_of_band import OutOfBandSender, SendResult, SendResults
from shared.schema.alerts import Alert, build_notice
from shared.store.database import Database
from shared.store.out_of_band import is_dispatched, lease_deliveries, newest_event_id, record_out_of_band

log = structlog.get_logger()

OUT_OF_BAND_AFTER = timedelta(seconds=5)
"""How long the usual way may take to tell of trouble before the watchdog tells by itself."""
RETRY_INTERVAL = timedelta(seconds=30)
"""After how long it tries again where nobody could be told."""


class SelfAlertNotifier:
    """Has an alert stored and told, by the usual way if that works; what was told directly is told once."""

    def __init__(
        self, alert: Alert, database: Database, line: OutOfBandSender, *, is_stored: bool = False
    ) -> None:
        self.alert = alert
        self._database = database
        self._line = line
        self._is_stored = is_stored
        self._direct_at = alert.timestamp + OUT_OF_BAND_AFTER
        self._is_told = False
        """Whether somebody was told, or will be by the usual way."""
        self._under_way = 0
        self._outcomes: SendResults | None = None
        self._unwritten: list[SendResult] = []

    def ensure_notified(self, now: datetime) -> None:
        """See to it that it is stored, and that somebody is told."""
        self._collect_results()
        try:
            self._store_and_check_dispatched(now)
        except SQLAlchemyError as error:
            log.debug("cannot store the alert; retrying", error=str(error))
        is_quiet = self._is_told or self._under_way or self.alert.details.muted_by
        if not is_quiet and now >= self._direct_at:
            self._direct_at = now + RETRY_INTERVAL
            self._send_out_of_band(now)

    def _send_out_of_band(self, now: datetime) -> None:
        """Tell it directly, and keep the notifier, should it come back right now, from telling it too."""
        notice = build_notice(self.alert, "opened")
        recipients = self._line.recipients(notice, now)
        try:
            with self._database.write() as connection:
                if event := newest_event_id(connection, notice.id, "opened"):
                    held = [(one.channel, one.fallback) for one in recipients]
                    lease_deliveries(connection, event, notice, held, now)
        except SQLAlchemyError as error:
            log.debug("cannot lease deliveries", error=str(error))
        self._under_way = len(recipients)
        self._outcomes = self._line.send(notice, recipients, now)

    def resolve(self, now: datetime) -> bool:
        """Resolve it; False while that cannot be: somebody is just being told, or the store is away.

        The end is told by the usual way, to whoever was told, also of what could not be stored until now.
        """
        self._collect_results()
        if self._under_way:
            return False
        try:
            with self._database.write() as connection:
                self._store(connection, now)
                resolve_self_alert(connection, self.alert.fingerprint, now)
        except SQLAlchemyError as error:
            log.debug("cannot resolve the alert; retrying", error=str(error))
            return False
        return True

    def _collect_results(self) -> None:
        while self._outcomes and not self._outcomes.empty():
            outcome = self._outcomes.get()
            self._under_way -= 1
            if outcome.channel:
                self._is_told = True
                self._unwritten.append(outcome)

    def _store_and_check_dispatched(self, now: datetime) -> None:
        if not self._is_stored or self._unwritten:
            with self._database.write() as connection:
                self._store(connection, now)
            self._is_stored, self._unwritten = True, []
        if not self._is_told and now >= self._direct_at:
            with self._database.read() as connection:
                event = newest_event_id(connection, self.alert.id, "opened")
                self._is_told = event is not None and is_dispatched(connection, event, now)

    def _store(self, connection: Connection, now: datetime) -> None:
        """Store it, and who was told directly. Whom nobody could tell the usual way tells later."""
        if not self._is_stored:
            open_self_alert(connection, self.alert)
        event = newest_event_id(connection, self.alert.id, "opened")
        if event is None:
            return
        notice = build_notice(self.alert, "opened")
        for one in self._unwritten:
            for channel, error in one.errors.items():
                record_out_of_band(connection, event, notice, channel, error, now)
            if one.channel:
                record_out_of_band(connection, event, notice, one.channel, None, now)
