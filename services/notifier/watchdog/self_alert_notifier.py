"""Self-alert notifier: stores one alert of the watchdog and makes sure that somebody is notified."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from services.notifier.self_alert_store import open_self_alert, resolve_self_alert
from services.notifier.watchdog.out_of_band import OutOfBandSender, SendResult, SendResults
from shared.schema.alerts import Alert, build_notice
from shared.store.database import Database
from shared.store.out_of_band import is_dispatched, lease_deliveries, newest_event_id, record_out_of_band

log = structlog.get_logger()

OUT_OF_BAND_AFTER = timedelta(seconds=5)
"""How long the notifier may take to pick up an alert before the watchdog sends it out of band."""
RETRY_INTERVAL = timedelta(seconds=30)
"""After how long it retries if no channel accepted the notification."""


class SelfAlertNotifier:
    """Stores an alert, and sends it out of band, once, if the notifier does not."""

    def __init__(
        self, alert: Alert, database: Database, sender: OutOfBandSender, *, is_stored: bool = False
    ) -> None:
        self.alert = alert
        self._database = database
        self._line = sender
        self._is_stored = is_stored
        self._direct_at = alert.timestamp + OUT_OF_BAND_AFTER
        self._is_notified = False
        """Whether somebody was notified out of band, or the notifier has picked the alert up."""
        self._under_way = 0
        self._outcomes: SendResults | None = None
        self._unwritten: list[SendResult] = []

    def ensure_notified(self, now: datetime) -> None:
        """Make sure that the alert is stored and somebody is notified."""
        self._collect_results()
        try:
            self._store_and_check_dispatched(now)
        except SQLAlchemyError as error:
            log.debug("cannot store the alert; retrying", error=str(error))
        is_quiet = self._is_notified or self._under_way or self.alert.details.muted_by
        if not is_quiet and now >= self._direct_at:
            self._direct_at = now + RETRY_INTERVAL
            self._send_out_of_band(now)

    def _send_out_of_band(self, now: datetime) -> None:
        """Send the alert out of band; lease its deliveries, so that the notifier does not send it too."""
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
        """Resolve the alert; return False while sending is in progress or the database is unavailable.

        The notifier sends the resolved notification, also for an alert that could not be stored until now.
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
            result = self._outcomes.get()
            self._under_way -= 1
            if result.channel:
                self._is_notified = True
                self._unwritten.append(result)

    def _store_and_check_dispatched(self, now: datetime) -> None:
        if not self._is_stored or self._unwritten:
            with self._database.write() as connection:
                self._store(connection, now)
            self._is_stored, self._unwritten = True, []
        if not self._is_notified and now >= self._direct_at:
            with self._database.read() as connection:
                event = newest_event_id(connection, self.alert.id, "opened")
                self._is_notified = event is not None and is_dispatched(connection, event, now)

    def _store(self, connection: Connection, now: datetime) -> None:
        """Store the alert and its out-of-band deliveries; the notifier retries the recipients that failed."""
        if not self._is_stored:
            opened = open_self_alert(connection, self.alert, self._line.mute_config())
            self.alert = opened or self.alert
        event = newest_event_id(connection, self.alert.id, "opened")
        if event is None:
            return
        notice = build_notice(self.alert, "opened")
        for one in self._unwritten:
            for channel, error in one.errors.items():
                record_out_of_band(connection, event, notice, channel, error, now)
            if one.channel:
                record_out_of_band(connection, event, notice, one.channel, None, now)
