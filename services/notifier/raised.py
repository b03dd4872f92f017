"""Raised: an alert of the watchdog's, from opening to its end, and that somebody was told of it."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from services.notifier.direct import DirectLine, Outcome, Outcomes
from services.notifier.trouble import end_trouble, open_trouble
from shared.schema.alerts import Alert, notice_of
from shared.store.database import Database
from shared.store.direct import event_of, hold, is_in_hand, put_told

log = structlog.get_logger()

DIRECT_AFTER = timedelta(seconds=5)
"""How long the usual way may take to tell of trouble before the watchdog tells by itself."""
AGAIN = timedelta(seconds=30)
"""After how long it tries again where nobody could be told."""


class Raised:
    """Has an alert stored and told, by the usual way if that works; what was told directly is told once."""

    def __init__(
        self, alert: Alert, database: Database, line: DirectLine, *, is_stored: bool = False
    ) -> None:
        self.alert = alert
        self._database = database
        self._line = line
        self._is_stored = is_stored
        self._direct_at = alert.timestamp + DIRECT_AFTER
        self._is_told = False
        """Whether somebody was told, or will be by the usual way."""
        self._under_way = 0
        self._outcomes: Outcomes | None = None
        self._unwritten: list[Outcome] = []

    def insist(self, now: datetime) -> None:
        """See to it that it is stored, and that somebody is told."""
        self._hear()
        try:
            self._write(now)
        except SQLAlchemyError as error:
            log.debug("cannot store trouble", error=str(error))
        is_quiet = self._is_told or self._under_way or self.alert.details.muted_by
        if not is_quiet and now >= self._direct_at:
            self._direct_at = now + AGAIN
            self._tell(now)

    def _tell(self, now: datetime) -> None:
        """Tell it directly, and keep the notifier, should it come back right now, from telling it too."""
        notice = notice_of(self.alert, "opened")
        recipients = self._line.recipients(notice, now)
        try:
            with self._database.write() as connection:
                if event := event_of(connection, notice.id, "opened"):
                    held = [(one.channel, one.fallback) for one in recipients]
                    hold(connection, event, notice, held, now)
        except SQLAlchemyError as error:
            log.debug("cannot hold deliveries", error=str(error))
        self._under_way = len(recipients)
        self._outcomes = self._line.tell(notice, recipients, now)

    def end(self, now: datetime) -> bool:
        """Resolve it; False while that cannot be: somebody is just being told, or the store is away.

        The end is told by the usual way, to whoever was told, also of what could not be stored until now.
        """
        self._hear()
        if self._under_way:
            return False
        try:
            with self._database.write() as connection:
                self._put(connection, now)
                end_trouble(connection, self.alert.fingerprint, now)
        except SQLAlchemyError as error:
            log.debug("cannot store the end of trouble", error=str(error))
            return False
        return True

    def _hear(self) -> None:
        while self._outcomes and not self._outcomes.empty():
            outcome = self._outcomes.get()
            self._under_way -= 1
            if outcome.told:
                self._is_told = True
                self._unwritten.append(outcome)

    def _write(self, now: datetime) -> None:
        if not self._is_stored or self._unwritten:
            with self._database.write() as connection:
                self._put(connection, now)
            self._is_stored, self._unwritten = True, []
        if not self._is_told and now >= self._direct_at:
            with self._database.read() as connection:
                event = event_of(connection, self.alert.id, "opened")
                self._is_told = event is not None and is_in_hand(connection, event, now)

    def _put(self, connection: Connection, now: datetime) -> None:
        """Store it, and who was told directly. Whom nobody could tell the usual way tells later."""
        if not self._is_stored:
            open_trouble(connection, self.alert)
        event = event_of(connection, self.alert.id, "opened")
        if event is None:
            return
        notice = notice_of(self.alert, "opened")
        for one in self._unwritten:
            for channel, error in one.errors.items():
                put_told(connection, event, notice, channel, error, now)
            if one.told:
                put_told(connection, event, notice, one.told, None, now)
