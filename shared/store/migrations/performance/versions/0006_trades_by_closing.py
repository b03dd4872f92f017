"""Closed trades are paged, filtered and summed from an index, without their rows."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INDEXES = {
    "trades": ("trades_bot_closed", ("bot", "closedAt", "number", "pnl", "symbol", "side")),
    "reported_trades": ("reported_trades_bot_closed", ("bot", "timestamp", "id", "pnl", "symbol", "side")),
}
REPLACED = "trades_bot_closedAt"


def upgrade() -> None:
    for table, (name, columns) in INDEXES.items():
        op.create_index(name, table, list(columns))
    op.drop_index(REPLACED, "trades")


def downgrade() -> None:
    op.create_index(REPLACED, "trades", ["bot", "closedAt"])
    for table, (name, _) in INDEXES.items():
        op.drop_index(name, table)
