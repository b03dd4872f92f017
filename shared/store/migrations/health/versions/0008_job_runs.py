"""Job runs: how each background job last ran."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_runs",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("startedAt", sa.Text(), nullable=True),
        sa.Column("finishedAt", sa.Text(), nullable=True),
        sa.Column("durationMs", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lastSuccessAt", sa.Text(), nullable=True),
        sa.Column("nextDueAt", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def downgrade() -> None:
    op.drop_table("job_runs")
