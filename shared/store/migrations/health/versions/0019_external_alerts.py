"""Until when external alerts are valid."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "external_alerts",
        sa.Column("alertId", sa.String(), sa.ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False),
        sa.Column("endsAt", sa.Text(), nullable=True),
        sa.Column("isTimeout", sa.Integer(), nullable=False),
        sa.Column("endedAt", sa.Text(), nullable=True),
        sa.Column("updatedAt", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("alertId"),
    )
    op.create_index(
        "external_alerts_endsAt",
        "external_alerts",
        ["endsAt"],
        sqlite_where=sa.text('"endsAt" IS NOT NULL'),
    )


def downgrade() -> None:
    op.drop_table("external_alerts")
