"""What belongs to an alert goes with it, also where it is deleted by hand.

The tables say `ON DELETE CASCADE`, but SQLite follows that only where a connection has asked for it, and the
`sqlite3` command does not. A trigger holds for everybody.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = ("notifications", "escalations", "alert_events")


def upgrade() -> None:
    for table in TABLES:
        op.execute(f"DELETE FROM {table} WHERE alertId NOT IN (SELECT id FROM alerts)")  # noqa: S608
    deletions = " ".join(f"DELETE FROM {table} WHERE alertId = OLD.id;" for table in TABLES)  # noqa: S608
    op.execute(f"CREATE TRIGGER alerts_deleted AFTER DELETE ON alerts BEGIN {deletions} END")


def downgrade() -> None:
    op.execute("DROP TRIGGER alerts_deleted")
