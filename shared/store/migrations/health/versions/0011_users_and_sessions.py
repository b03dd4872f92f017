"""Users of the page and their sessions, and the login attempts that limit guessing."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("passwordHash", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("totpSecret", sa.Text(), nullable=True),
        sa.Column("totpStep", sa.Integer(), nullable=True),
        sa.Column("recoveryCodes", sa.Text(), nullable=True),
        sa.Column("createdAt", sa.Text(), nullable=False),
        sa.Column("passwordChangedAt", sa.Text(), nullable=False),
        sa.Column("lastLoginAt", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "sessions",
        sa.Column("idHash", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("createdAt", sa.Text(), nullable=False),
        sa.Column("lastSeenAt", sa.Text(), nullable=False),
        sa.Column("expiresAt", sa.Text(), nullable=False),
        sa.Column("endedAt", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["users.name"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("idHash"),
    )
    op.create_index("sessions_user", "sessions", ["user"])
    op.create_table(
        "login_attempts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("timestamp", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("login_attempts_name", "login_attempts", ["name", "timestamp"])
    op.create_index("login_attempts_network", "login_attempts", ["network", "timestamp"])


def downgrade() -> None:
    op.drop_table("login_attempts")
    op.drop_table("sessions")
    op.drop_table("users")
