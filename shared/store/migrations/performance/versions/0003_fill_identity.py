"""Fills are the same only with the same order, side, quantity and price: fill ids are used again."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INDEX = "fills_bot_fillId"


def upgrade() -> None:
    op.drop_index(INDEX, "fills")
    columns = ["bot", "symbol", "fillId", "orderId", "side", "quantity", "price"]
    op.create_index(INDEX, "fills", columns, unique=True)


def downgrade() -> None:
    op.drop_index(INDEX, "fills")
    firsts = 'SELECT min(id) FROM fills GROUP BY bot, symbol, "fillId"'
    op.execute(f'UPDATE fills SET "fillId" = "fillId" || \'#\' || id WHERE id NOT IN ({firsts})')  # noqa: S608
    op.create_index(INDEX, "fills", ["bot", "symbol", "fillId"], unique=True)
