"""Silences: never deleted; an ended one has its end and who ended it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, bindparam, desc, insert, or_, select, tuple_, update

from shared.schema.silences import Matcher, Silence, SilenceRequest, build_silence
from shared.schema.timestamps import from_store, to_store
from shared.store.tables import silences

_ROW = silences.c
_CURRENT = select(silences).where(_ROW.endsAt > bindparam("now"))
_BY_ID = select(silences).where(_ROW.id == bindparam("of"))
_FIELDS = msgspec.structs.fields(Silence)
_MOMENTS = ("startsAt", "endsAt", "createdAt", "updatedAt")


def current_silences(connection: Connection, now: datetime) -> list[Silence]:
    """Return the silences that are active at `now` or start later."""
    return [_to_silence(row) for row in connection.execute(_CURRENT, {"now": to_store(now)})]


def silence_by_id(connection: Connection, silence_id: str) -> Silence | None:
    """Return one silence, or None."""
    row = connection.execute(_BY_ID, {"of": silence_id}).first()
    return _to_silence(row) if row else None


def list_silences(
    connection: Connection,
    states: Collection[str],
    now: datetime,
    limit: int,
    after: tuple[str, str] | None = None,
) -> list[Silence]:
    """Return silences in one of `states` at `now` (empty: any state), latest end first.

    `after` is the end, as stored, and the ID of the silence that the page before ended with.
    """
    moment = to_store(now)
    conditions = {
        "active": and_(_ROW.startsAt <= moment, _ROW.endsAt > moment),
        "pending": and_(_ROW.startsAt > moment, _ROW.endsAt > moment),
        "expired": _ROW.endsAt <= moment,
    }
    statement = select(silences).order_by(desc(_ROW.endsAt), desc(_ROW.id)).limit(limit)
    if states:
        statement = statement.where(or_(*(conditions[state] for state in states)))
    if after:
        statement = statement.where(tuple_(_ROW.endsAt, _ROW.id) < tuple_(*after))
    return [_to_silence(row) for row in connection.execute(statement)]


def silences_between(connection: Connection, since: datetime, until: datetime, limit: int) -> list[Silence]:
    """Return the silences of which a part is in [since, until), those that end latest."""
    overlapping = and_(_ROW.endsAt > to_store(since), _ROW.startsAt < to_store(until))
    statement = select(silences).where(overlapping, _ROW.endsAt > _ROW.startsAt)
    rows = connection.execute(statement.order_by(desc(_ROW.endsAt)).limit(limit))
    return sorted(map(_to_silence, rows), key=lambda silence: silence.starts_at)


ALL_BUT_END = ("matchers", "created_by", "comment")


def put_silence(
    connection: Connection,
    given: SilenceRequest,
    new_id: str,
    now: datetime,
    identity: Sequence[str] = ALL_BUT_END,
) -> Silence | None:
    """Create or change a silence and return it; None if the given ID does not exist.

    Changing the start or a field of `identity` of an active or pending silence ends it and creates a new one.
    InvalidError lists what is wrong.
    """
    known = silence_by_id(connection, given.id) if given.id else None
    if given.id and known is None:
        return None
    wanted = build_silence(given, new_id, now)
    if known and known.state(now) != "expired":
        if _is_same(known, wanted, given, identity):
            known.ends_at, known.updated_at = wanted.ends_at, now
            known.created_by, known.comment = wanted.created_by, wanted.comment
            _update(connection, known)
            return known
        end_silence(connection, known.id, now, given.created_by)
    connection.execute(insert(silences), _to_row(wanted))
    return wanted


def end_silence(connection: Connection, silence_id: str, now: datetime, by: str | None) -> Silence | None:
    """End a silence and return it; None if it does not exist. An expired one stays unchanged."""
    found = silence_by_id(connection, silence_id)
    if found and found.state(now) != "expired":
        found.starts_at, found.ends_at = min(found.starts_at, now), now
        found.updated_at, found.ended_by = now, by
        _update(connection, found)
    return found


def _is_same(known: Silence, wanted: Silence, given: SilenceRequest, identity: Sequence[str]) -> bool:
    return all(getattr(known, name) == getattr(wanted, name) for name in identity) and (
        given.starts_at is None or to_store(given.starts_at) == to_store(known.starts_at)
    )


def _update(connection: Connection, silence: Silence) -> None:
    connection.execute(update(silences).where(_ROW.id == silence.id), _to_row(silence))


def _to_row(silence: Silence) -> dict[str, Any]:
    row: dict[str, Any] = {field.encode_name: getattr(silence, field.name) for field in _FIELDS}
    row["matchers"] = msgspec.json.encode(silence.matchers).decode()
    return row | {name: to_store(row[name]) for name in _MOMENTS}


def _to_silence(row: Row[Any]) -> Silence:
    values = {field.name: row._mapping[silences.c[field.encode_name]] for field in _FIELDS}  # noqa: SLF001 - SQLAlchemy's public face
    values["matchers"] = msgspec.json.decode(values["matchers"], type=list[Matcher])
    for name in ("starts_at", "ends_at", "created_at", "updated_at"):
        values[name] = from_store(values[name])
    return Silence(**values)
