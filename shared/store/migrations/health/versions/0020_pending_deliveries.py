"""An index of the pending deliveries that SQLite prefers to that of the history of a channel."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

PENDING = sa.text("state = 'PENDING'")


def upgrade() -> None:
    op.drop_index("notifications_due", "notifications")
    op.create_index("notifications_due", "notifications", ["channel", "state", "id"], sqlite_where=PENDING)


def downgrade() -> None:
    op.drop_index("notifications_due", "notifications")
    op.create_index("notifications_due", "notifications", ["channel", "id"], sqlite_where=PENDING)
