"""Sizes of databases and tables: measured, stored a row per day, and their growth."""

from datetime import UTC, datetime, timedelta

from shared.store.database import Database
from shared.store.database_sizes import Growth, TableSize, measure_tables, read_growth, save_sizes

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def save(health: Database, days_ago: int, whole: int, rows: int = 0) -> None:
    with health.write() as connection:
        tables = {"equity": TableSize(rows, None)}
        save_sizes(connection, "performance", whole, tables, NOON - timedelta(days=days_ago))


def test_tables_are_measured_with_their_indexes(health: Database) -> None:
    """Every table of the schema has its rows and its bytes."""
    sizes = measure_tables(health)
    assert sizes["alembic_version"].rows == 1
    assert (sizes["alerts"].rows, sizes["alembic_version"].bytes) == (0, 8192)
    assert "sqlite_sequence" not in sizes


def test_growth_is_the_average_of_the_last_seven_days(health: Database) -> None:
    """Days before that do not count; a second measurement of a day replaces the first."""
    for days_ago, whole, rows in ((9, 5000, 0), (7, 1000, 10), (3, 1500, 20), (0, 9, 9), (0, 8000, 150)):
        save(health, days_ago, whole, rows)
    with health.read() as connection:
        found = read_growth(connection, "performance")
        assert read_growth(connection, "health") is None
    assert found
    assert (found.measured_on, found.whole) == (NOON.date(), Growth(None, 8000, None, 1000))
    assert found.tables == {"equity": Growth(150, None, 20, None)}


def test_growth_is_unknown_on_the_first_day(health: Database) -> None:
    """One measurement has no growth."""
    save(health, 0, 1000, 10)
    with health.read() as connection:
        found = read_growth(connection, "performance")
    assert found
    assert found.whole == Growth(None, 1000, None, None)


def test_old_days_are_deleted(health: Database) -> None:
    """After 400 days."""
    for days_ago in (401, 0):
        save(health, days_ago, 1)
    with health.read() as connection:
        days = connection.exec_driver_sql("SELECT DISTINCT day FROM database_sizes").fetchall()
    assert [tuple(day) for day in days] == [("2026-01-31",)]
