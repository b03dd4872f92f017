"""Who ended a silence before its time."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("silences", sa.Column("endedBy", sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("silences") as table:
        table.drop_column("endedBy")
