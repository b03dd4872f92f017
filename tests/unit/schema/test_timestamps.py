"""Moments on the wire and in the store."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from shared.schema.timestamps import from_store, to_store, to_wire

NOON = datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)


def test_the_wire_has_z_and_the_store_has_a_space() -> None:
    assert to_wire(NOON.astimezone(timezone(timedelta(hours=2)))) == "2026-01-31T12:00:00.250Z"
    assert to_store(NOON) == "2026-01-31 12:00:00.250"


def test_sqlite_compares_the_stores_text_with_its_own_datetime() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        (older,) = connection.execute(
            "SELECT ? < datetime('2026-02-08', '-7 days')", (to_store(NOON),)
        ).fetchone()
    assert older == 1


@given(st.integers(946_684_800_000, 4_102_444_799_999))
def test_the_store_keeps_milliseconds(milliseconds: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    assert from_store(to_store(moment)) == moment
