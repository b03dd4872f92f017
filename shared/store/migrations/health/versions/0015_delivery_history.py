"""What a receiver answered, and an index for the history of a channel."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notifications", sa.Column("response", sa.Text(), nullable=True))
    op.create_index("notifications_channel", "notifications", ["channel", "id"])


def downgrade() -> None:
    op.drop_index("notifications_channel", "notifications")
    op.drop_column("notifications", "response")
