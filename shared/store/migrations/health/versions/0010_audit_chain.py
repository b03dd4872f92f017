"""The audit log as a chain: where from, before and after, outcome, and the MAC that chains the entries."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

COLUMNS = ("address", "before", "after", "keyId", "mac")


def upgrade() -> None:
    for name in COLUMNS:
        op.add_column("audit_log", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("audit_log", sa.Column("outcome", sa.Text(), server_default="ok", nullable=False))
    op.add_column("audit_log", sa.Column("count", sa.Integer(), server_default="1", nullable=False))
    op.create_index("audit_log_timestamp", "audit_log", ["timestamp"])
    op.create_table(
        "audit_denials",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("firstAt", sa.Text(), nullable=False),
        sa.Column("lastAt", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("address", "action"),
    )
    op.create_table(
        "audit_shipping",
        sa.Column("receiver", sa.Text(), nullable=False),
        sa.Column("entryId", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("receiver"),
    )


def downgrade() -> None:
    op.drop_table("audit_shipping")
    op.drop_table("audit_denials")
    op.drop_index("audit_log_timestamp", "audit_log")
    for name in ("count", "outcome", *reversed(COLUMNS)):
        op.drop_column("audit_log", name)
