"""Which backups are kept: grandfather, father, son. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime

from shared.schema.backups import Backup

_PERIODS: tuple[tuple[int, Callable[[datetime], object]], ...] = (
    (7, lambda moment: moment.date()),
    (5, lambda moment: moment.isocalendar()[:2]),
    (12, lambda moment: (moment.year, moment.month)),
)
"""How many days, ISO weeks and months (UTC) keep a backup each."""


def kept_backups(backups: Sequence[Backup]) -> set[str]:
    """Return the IDs of the backups to keep: the last one of 7 days, of 5 weeks and of 12 months.

    Only days, weeks and months that have a backup count, so that a long pause deletes nothing. Each keeps
    its last verified backup; one that is not verified only if there is no other. All backups of the newest
    day are kept, and the newest verified one always.
    """
    newest_first = sorted(backups, key=lambda backup: backup.id, reverse=True)
    best_first = sorted(newest_first, key=lambda backup: backup.verified_at is None)
    kept: set[str] = {backup.id for backup in best_first[:1]}
    if newest_first:
        newest_day = newest_first[0].created_at.date()
        kept |= {backup.id for backup in newest_first if backup.created_at.date() == newest_day}
    for amount, period in _PERIODS:
        first: dict[object, str] = {}
        for backup in best_first:
            first.setdefault(period(backup.created_at), backup.id)
        kept |= set(sorted(first.values(), reverse=True)[:amount])
    return kept
