"""What rules remember, silences, and acknowledgements that end."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("alerts") as table:
        table.add_column(sa.Column("acknowledgedUntil", sa.Text(), nullable=True))
    op.create_index("alerts_fingerprint_resolvedAt", "alerts", ["fingerprint", "resolvedAt"])
    op.create_table(
        "rule_tracks",
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("track", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("partition", "key"),
    )
    op.create_table(
        "silences",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("matchers", sa.Text(), nullable=False),
        sa.Column("startsAt", sa.Text(), nullable=False),
        sa.Column("endsAt", sa.Text(), nullable=False),
        sa.Column("createdBy", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("createdAt", sa.Text(), nullable=False),
        sa.Column("updatedAt", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("silences_endsAt", "silences", ["endsAt"])


def downgrade() -> None:
    op.drop_table("silences")
    op.drop_table("rule_tracks")
    op.drop_index("alerts_fingerprint_resolvedAt", "alerts")
    with op.batch_alter_table("alerts") as table:
        table.drop_column("acknowledgedUntil")
