"""Routing moves to the notifier: notices on the timeline, groups of messages, escalations."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COLUMNS = ("reason", "heldUntil", "batch", "fallback")


def upgrade() -> None:
    op.add_column("alert_events", sa.Column("notice", sa.Text(), nullable=True))
    for name in COLUMNS:
        op.add_column("notifications", sa.Column(name, sa.Text(), nullable=True))
    op.create_table(
        "message_groups",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("messageAt", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "escalations",
        sa.Column("alertId", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("dueAt", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["alertId"], ["alerts.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("alertId", "route"),
    )
    op.create_index("escalations_dueAt", "escalations", ["dueAt"])
    # What happened before has its deliveries already.
    op.execute(
        "INSERT INTO log_position (reader, partition, entry) "
        "SELECT 'dispatcher', 0, CAST(MAX(id) AS TEXT) FROM alert_events HAVING MAX(id) IS NOT NULL"
    )


def downgrade() -> None:
    op.execute("DELETE FROM log_position WHERE reader = 'dispatcher'")
    op.drop_index("escalations_dueAt", table_name="escalations")
    op.drop_table("escalations")
    op.drop_table("message_groups")
    with op.batch_alter_table("notifications") as table:
        for name in COLUMNS:
            table.drop_column(name)
    with op.batch_alter_table("alert_events") as table:
        table.drop_column("notice")
