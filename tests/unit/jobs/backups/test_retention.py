"""Which backups are kept: the last of 7 days, 5 weeks and 12 months."""

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.jobs.backups.retention import kept_backups
from shared.schema.backups import Backup, backup_id

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)


def backup(days: float, *, verified: bool = True) -> Backup:
    name = backup_id(NOON - timedelta(days=days))
    at = NOON if verified else None
    return Backup(id=name, file=f"{name}.tar.zst", bytes=1, sha256="", verified_at=at)


def kept_days(backups: list[Backup]) -> list[int]:
    kept = kept_backups(backups)
    return sorted((NOON - one.created_at).days for one in backups if one.id in kept)


def test_a_year_of_daily_backups_keeps_days_weeks_and_months() -> None:
    """Seven days, the Sundays of five weeks, and the last day of twelve months."""
    found = kept_days([backup(days) for days in range(400)])
    weeks, months = [2, 9, 16, 23], [31, 59, 90, 121, 151, 182, 212, 243, 274, 304, 335]
    assert found == sorted({*range(7), *weeks, *months})


def test_all_of_the_newest_day_are_kept() -> None:
    """A backup by hand before an upgrade is not deleted by the one that follows."""
    assert len(kept_backups([backup(hours / 24) for hours in range(4)])) == 4
    assert kept_days([backup(0), backup(1.1), backup(1.2), backup(1.3)]) == [0, 1]


def test_a_pause_deletes_nothing() -> None:
    """Only days that have a backup count: after a month without any the old ones stay."""
    assert kept_days([backup(days) for days in (40, 41, 42)]) == [40, 41, 42]


def test_a_verified_backup_is_kept_before_one_that_is_not() -> None:
    """On a day with both, the verified one stays, although it is older."""
    both = [backup(0), backup(1.1, verified=False), backup(1.2)]
    assert kept_backups(both) == {both[0].id, both[2].id}


@given(
    st.lists(st.tuples(st.integers(0, 900), st.booleans()), unique_by=lambda one: one[0]),
)
def test_the_newest_verified_one_always_stays(drawn: list[tuple[int, bool]]) -> None:
    """Whatever there is; and what is kept is kept again."""
    backups = [backup(days, verified=verified) for days, verified in drawn]
    kept = kept_backups(backups)
    verified = sorted((one.id for one in backups if one.verified_at), reverse=True)
    assert set(verified[:1]) <= kept
    left = [msgspec.structs.replace(one) for one in backups if one.id in kept]
    assert kept_backups(left) == kept
