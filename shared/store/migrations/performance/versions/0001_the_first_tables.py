"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "equity",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("timestamp", sa.Text(), nullable=False),
        sa.Column("bot", sa.Text(), nullable=False),
        sa.Column("equity", sa.Float(), nullable=False),
        sa.Column("netFlow", sa.Float(), nullable=True),
        sa.Column("cash", sa.Float(), nullable=True),
        sa.Column("unrealizedPnL", sa.Float(), nullable=True),
        sa.Column("labels", sa.Text(), nullable=True),
        sa.Column("recordId", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("equity", schema=None) as batch_op:
        batch_op.create_index(
            "equity_bot_recordId",
            ["bot", "recordId"],
            unique=True,
            sqlite_where=sa.text('"recordId" IS NOT NULL'),
        )
        batch_op.create_index("equity_bot_timestamp", ["bot", "timestamp"], unique=False)

    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("timestamp", sa.Text(), nullable=False),
        sa.Column("bot", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("labels", sa.Text(), nullable=True),
        sa.Column("recordId", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(
            "events_bot_recordId",
            ["bot", "recordId"],
            unique=True,
            sqlite_where=sa.text('"recordId" IS NOT NULL'),
        )
        batch_op.create_index("events_bot_timestamp", ["bot", "timestamp"], unique=False)

    op.create_table(
        "fills",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("timestamp", sa.Text(), nullable=False),
        sa.Column("bot", sa.Text(), nullable=False),
        sa.Column("orderId", sa.Text(), nullable=False),
        sa.Column("fillId", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Float(), nullable=False),
        sa.Column("price", sa.Float(), nullable=False),
        sa.Column("fee", sa.Float(), nullable=True),
        sa.Column("feeCurrency", sa.Text(), nullable=True),
        sa.Column("labels", sa.Text(), nullable=True),
        sa.Column("recordId", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("fills", schema=None) as batch_op:
        batch_op.create_index(
            "fills_bot_recordId",
            ["bot", "recordId"],
            unique=True,
            sqlite_where=sa.text('"recordId" IS NOT NULL'),
        )
        batch_op.create_index("fills_bot_timestamp", ["bot", "timestamp"], unique=False)

    op.create_table(
        "heartbeats",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("timestamp", sa.Text(), nullable=False),
        sa.Column("bot", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("intervalSeconds", sa.Float(), nullable=True),
        sa.Column("labels", sa.Text(), nullable=True),
        sa.Column("recordId", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("heartbeats", schema=None) as batch_op:
        batch_op.create_index(
            "heartbeats_bot_recordId",
            ["bot", "recordId"],
            unique=True,
            sqlite_where=sa.text('"recordId" IS NOT NULL'),
        )
        batch_op.create_index("heartbeats_bot_timestamp", ["bot", "timestamp"], unique=False)

    op.create_table(
        "log_position",
        sa.Column("reader", sa.String(), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("reader", "partition"),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("timestamp", sa.Text(), nullable=False),
        sa.Column("bot", sa.Text(), nullable=False),
        sa.Column("orderId", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("quantity", sa.Float(), nullable=False),
        sa.Column("limitPrice", sa.Float(), nullable=True),
        sa.Column("decisionPrice", sa.Float(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("labels", sa.Text(), nullable=True),
        sa.Column("recordId", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.create_index(
            "orders_bot_recordId",
            ["bot", "recordId"],
            unique=True,
            sqlite_where=sa.text('"recordId" IS NOT NULL'),
        )
        batch_op.create_index("orders_bot_timestamp", ["bot", "timestamp"], unique=False)

    op.create_table(
        "performance_metrics",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("timestamp", sa.Text(), nullable=False),
        sa.Column("bot", sa.Text(), nullable=False),
        sa.Column("portfolioValue", sa.Float(), nullable=True),
        sa.Column("totalPnL", sa.Float(), nullable=True),
        sa.Column("realizedPnL", sa.Float(), nullable=True),
        sa.Column("unrealizedPnL", sa.Float(), nullable=True),
        sa.Column("sharpeRatio", sa.Float(), nullable=True),
        sa.Column("sortinoRatio", sa.Float(), nullable=True),
        sa.Column("calmarRatio", sa.Float(), nullable=True),
        sa.Column("volatility", sa.Float(), nullable=True),
        sa.Column("maxDrawdown", sa.Float(), nullable=True),
        sa.Column("currentDrawdown", sa.Float(), nullable=True),
        sa.Column("var95", sa.Float(), nullable=True),
        sa.Column("var99", sa.Float(), nullable=True),
        sa.Column("cvar95", sa.Float(), nullable=True),
        sa.Column("winRate", sa.Float(), nullable=True),
        sa.Column("profitFactor", sa.Float(), nullable=True),
        sa.Column("expectancy", sa.Float(), nullable=True),
        sa.Column("totalTrades", sa.Integer(), nullable=True),
        sa.Column("tradesPerDay", sa.Float(), nullable=True),
        sa.Column("averageTradeDuration", sa.Float(), nullable=True),
        sa.Column("slippageBps", sa.Float(), nullable=True),
        sa.Column("orderLatencyMs", sa.Float(), nullable=True),
        sa.Column("fillRate", sa.Float(), nullable=True),
        sa.Column("rejectRate", sa.Float(), nullable=True),
        sa.Column("exposure", sa.Float(), nullable=True),
        sa.Column("leverage", sa.Float(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("labels", sa.Text(), nullable=True),
        sa.Column("recordId", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("performance_metrics", schema=None) as batch_op:
        batch_op.create_index(
            "performance_metrics_bot_recordId",
            ["bot", "recordId"],
            unique=True,
            sqlite_where=sa.text('"recordId" IS NOT NULL'),
        )
        batch_op.create_index("performance_metrics_bot_timestamp", ["bot", "timestamp"], unique=False)

    op.create_table(
        "samples",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("timestamp", sa.Text(), nullable=False),
        sa.Column("bot", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("labels", sa.Text(), nullable=True),
        sa.Column("recordId", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("samples", schema=None) as batch_op:
        batch_op.create_index(
            "samples_bot_recordId",
            ["bot", "recordId"],
            unique=True,
            sqlite_where=sa.text('"recordId" IS NOT NULL'),
        )
        batch_op.create_index("samples_bot_timestamp", ["bot", "timestamp"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("samples", schema=None) as batch_op:
        batch_op.drop_index("samples_bot_timestamp")
        batch_op.drop_index(
            "samples_bot_recordId",
            sqlite_where=sa.text('"recordId" IS NOT NULL'),
        )

    op.drop_table("samples")
    with op.batch_alter_table("performance_metrics", schema=None) as batch_op:
        batch_op.drop_index("performance_metrics_bot_timestamp")
        batch_op.drop_index(
            "performance_metrics_bot_recordId",
            sqlite_where=sa.text('"recordId" IS NOT NULL'),
        )

    op.drop_table("performance_metrics")
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.drop_index("orders_bot_timestamp")
        batch_op.drop_index(
            "orders_bot_recordId",
            sqlite_where=sa.text('"recordId" IS NOT NULL'),
        )

    op.drop_table("orders")
    op.drop_table("log_position")
    with op.batch_alter_table("heartbeats", schema=None) as batch_op:
        batch_op.drop_index("heartbeats_bot_timestamp")
        batch_op.drop_index(
            "heartbeats_bot_recordId",
            sqlite_where=sa.text('"recordId" IS NOT NULL'),
        )

    op.drop_table("heartbeats")
    with op.batch_alter_table("fills", schema=None) as batch_op:
        batch_op.drop_index("fills_bot_timestamp")
        batch_op.drop_index(
            "fills_bot_recordId",
            sqlite_where=sa.text('"recordId" IS NOT NULL'),
        )

    op.drop_table("fills")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index("events_bot_timestamp")
        batch_op.drop_index(
            "events_bot_recordId",
            sqlite_where=sa.text('"recordId" IS NOT NULL'),
        )

    op.drop_table("events")
    with op.batch_alter_table("equity", schema=None) as batch_op:
        batch_op.drop_index("equity_bot_timestamp")
        batch_op.drop_index(
            "equity_bot_recordId",
            sqlite_where=sa.text('"recordId" IS NOT NULL'),
        )

    op.drop_table("equity")
