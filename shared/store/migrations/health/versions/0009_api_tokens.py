"""API tokens, by their SHA-256."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("bots", sa.Text(), nullable=False),
        sa.Column("hosts", sa.Text(), nullable=False),
        sa.Column("actForOthers", sa.Integer(), server_default="0", nullable=False),
        sa.Column("createdAt", sa.Text(), nullable=False),
        sa.Column("createdBy", sa.Text(), nullable=False),
        sa.Column("expiresAt", sa.Text(), nullable=True),
        sa.Column("lastUsedAt", sa.Text(), nullable=True),
        sa.Column("revokedAt", sa.Text(), nullable=True),
        sa.Column("revokedBy", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )


def downgrade() -> None:
    op.drop_table("api_tokens")
