"""Reports: what was asked for, how building went, and to which channels they are sent."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reports",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("requestedAt", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("schedule", sa.Text(), nullable=True),
        sa.Column("periodTo", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("reports_requestedAt", "reports", ["requestedAt"])
    op.create_index("reports_schedule_periodTo", "reports", ["schedule", "periodTo"], unique=True)
    op.create_table(
        "report_deliveries",
        sa.Column("reportId", sa.String(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("createdAt", sa.Text(), nullable=False),
        sa.Column("nextAttemptAt", sa.Text(), nullable=False),
        sa.Column("sentAt", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["reportId"], ["reports.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("reportId", "channel"),
    )


def downgrade() -> None:
    op.drop_table("report_deliveries")
    op.drop_table("reports")
