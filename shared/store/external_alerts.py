"""External alerts: until when each is valid, and what a post or the passing of time does to them.

The dashboard stores posts, the evaluator ends what is no longer sent. Both read the alert in the write
transaction that changes it, so that each sees what the other has done.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, bindparam, func, select, update
from sqlalchemy.dialects.sqlite import insert

from shared.rules.rule_state import FLAP_COUNT, FLAP_WINDOW_MS
from shared.schema import external_alerts as rules
from shared.schema.alert_lifecycle import REOPEN_WINDOW, Transition
from shared.schema.alerts import Alert
from shared.schema.external_alerts import FINGERPRINT_PREFIX, PostedAlert, Validity
from shared.schema.muting import MuteEvaluator
from shared.schema.timestamps import from_store, to_store
from shared.store.alert_changes import apply_transition, apply_with_mute
from shared.store.alerts import (
    alert_by_id,
    count_openings,
    last_resolved_since,
    open_by_fingerprint,
    open_by_prefix,
)
from shared.store.tables import external_alerts


class TooManyOpenError(Exception):
    """No further external alert may open."""


MAX_OPEN = 10_000
"""Limit of open external alerts: a sender that invents labels must not fill the database."""
TIMED_OUT_BATCH = 200
NO_LONGER_SENT = "no longer sent as firing"
_FLAP_WINDOW = timedelta(milliseconds=FLAP_WINDOW_MS)
_ROW = external_alerts.c
_OF_ALERT = select(external_alerts).where(_ROW.alertId == bindparam("of"))
_TIMED_OUT = (
    select(_ROW.alertId, _ROW.endsAt)
    .where(_ROW.endsAt.is_not(None), _ROW.endsAt <= bindparam("now"), _ROW.endsAt >= bindparam("since"))
    .order_by(_ROW.endsAt)
    .limit(TIMED_OUT_BATCH)
)


def open_external_alerts(connection: Connection) -> list[Alert]:
    """Return the external alerts that are not resolved."""
    return open_by_prefix(connection, FINGERPRINT_PREFIX)


def count_open(connection: Connection) -> int:
    """Return how many external alerts are valid."""
    statement = select(func.count()).select_from(external_alerts).where(_ROW.endsAt.is_not(None))
    return connection.execute(statement).scalar_one()


def validities(connection: Connection) -> dict[str, Validity]:
    """Return until when each open external alert is valid, by its ID."""
    rows = connection.execute(select(external_alerts).where(_ROW.endsAt.is_not(None)))
    return {row.alertId: _to_validity(row) for row in rows}


def validity_of(connection: Connection, alert_id: str) -> Validity | None:
    """Return until when an external alert is valid; None if it was never sent."""
    row = connection.execute(_OF_ALERT, {"of": alert_id}).first()
    return _to_validity(row) if row else None


class PostedAlertWriter:
    """Applies the alerts of one request, in one write transaction."""

    def __init__(
        self,
        connection: Connection,
        load_muting: Callable[[Connection], MuteEvaluator],
        dashboard_url: str,
        now: datetime,
    ) -> None:
        """`load_muting` is called once at most: when an alert opens."""
        self._connection = connection
        self._load_muting = load_muting
        self._muting: MuteEvaluator | None = None
        self._open: int | None = None
        self._dashboard_url = dashboard_url
        self._now = now

    def write(self, posted: PostedAlert) -> list[Transition]:
        """Apply an alert; return what changed. Raises TooManyOpenError, before anything of it is written."""
        current = open_by_fingerprint(self._connection, posted.fingerprint)
        if not rules.is_firing(posted, self._now):
            return self._end(posted, current) if current else []
        if current is None:
            self._check_space()
            since = self._now - REOPEN_WINDOW
            current = last_resolved_since(self._connection, posted.fingerprint, since)
        known = validity_of(self._connection, current.id) if current else None
        if rules.is_late(posted, known, self._now):
            return []
        is_flapping = (
            current is not None
            and current.status == "RESOLVED"
            and self._count_openings(current) + 1 >= FLAP_COUNT
        )
        transition = rules.fire(
            posted, current, uuid4().hex, self._dashboard_url, self._now, is_flapping=is_flapping
        )
        written = apply_with_mute(self._connection, transition, self._current_muting()) if transition else []
        alert = written[-1].alert if written else current
        if alert:
            _put_validity(self._connection, alert.id, rules.next_validity(posted, known, self._now))
        for one in written:
            self._current_muting().update(one.alert)
        return written

    def _end(self, posted: PostedAlert, current: Alert) -> list[Transition]:
        known = validity_of(self._connection, current.id)
        transition = rules.end(posted, current, known, self._now)
        if transition is None:
            return []
        if self._count_openings(current) >= FLAP_COUNT:
            # It stays open until it has been over for a while; then the evaluator ends it.
            until = self._now + REOPEN_WINDOW
            quiet = Validity(until, is_timeout=True, ended_at=posted.ends_at, updated_at=self._now)
            _put_validity(self._connection, current.id, quiet)
            return []
        apply_transition(self._connection, transition)
        _put_validity(
            self._connection, current.id, Validity(None, ended_at=posted.ends_at, updated_at=self._now)
        )
        return [transition]

    def _count_openings(self, alert: Alert) -> int:
        return count_openings(self._connection, alert.id, self._now - _FLAP_WINDOW)

    def _check_space(self) -> None:
        if self._open is None:
            self._open = count_open(self._connection)
        if self._open >= MAX_OPEN:
            raise TooManyOpenError(
                f"{MAX_OPEN} external alerts are open: resolve some before sending new ones"
            )
        self._open += 1

    def _current_muting(self) -> MuteEvaluator:
        if self._muting is None:
            self._muting = self._load_muting(self._connection)
        return self._muting


def has_timed_out(connection: Connection, now: datetime, since: datetime) -> bool:
    """Return whether an external alert ended at `now`, and after `since`, without being sent again."""
    return bool(connection.execute(_TIMED_OUT, {"now": to_store(now), "since": to_store(since)}).first())


def end_timed_out(connection: Connection, now: datetime, since: datetime) -> list[Transition]:
    """Resolve external alerts that ended at `now`, and after `since`, each at its end; at most 200."""
    written = []
    rows = connection.execute(_TIMED_OUT, {"now": to_store(now), "since": to_store(since)}).all()
    for alert_id, text in rows:
        ends_at, alert = from_store(text), alert_by_id(connection, alert_id)
        if alert and (transition := rules.end_at(alert, ends_at, NO_LONGER_SENT)):
            apply_transition(connection, transition)
            written.append(transition)
        connection.execute(update(external_alerts).where(_ROW.alertId == alert_id).values(endsAt=None))
    return written


def _put_validity(connection: Connection, alert_id: str, validity: Validity) -> None:
    values = {
        "endsAt": to_store(validity.ends_at) if validity.ends_at else None,
        "isTimeout": int(validity.is_timeout),
        "endedAt": to_store(validity.ended_at) if validity.ended_at else None,
        "updatedAt": to_store(validity.updated_at) if validity.updated_at else None,
    }
    statement = insert(external_alerts).values(alertId=alert_id, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=[_ROW.alertId], set_=values))


def _to_validity(row: Row[Any]) -> Validity:
    moments = (row.endsAt, row.endedAt, row.updatedAt)
    ends_at, ended_at, updated_at = (from_store(text) if text else None for text in moments)
    return Validity(ends_at, bool(row.isTimeout), ended_at, updated_at)
