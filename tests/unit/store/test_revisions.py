"""Revisions of database files, read without Alembic."""

from pathlib import Path

import pytest

from shared.store.migrate import MIGRATION_LINES, newest_revision
from shared.store.revisions import known_revisions, stored_revision


@pytest.mark.parametrize("line", MIGRATION_LINES)
def test_the_newest_known_revision_is_that_of_alembic(line: str, migrated: Path) -> None:
    """File names begin with their revision; a migrated file has the newest."""
    assert known_revisions(line)[-1] == newest_revision(line)
    assert stored_revision(migrated / f"{line}.db") == newest_revision(line)
