"""Computed figures: further columns, closed trades, checkpoints of their state, minute and hour rollups."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NEW_NUMBERS = (
    *("netFlows", "annualReturn", "drawdownDuration", "longestDrawdown"),
    *("parametricVar95", "parametricVar99", "var95Amount", "var99Amount", "cvar95Amount", "expectancyRatio"),
    *("slippageP50Bps", "slippageP95Bps", "slippageP99Bps"),
    *("orderLatencyP50Ms", "orderLatencyP95Ms", "orderLatencyP99Ms"),
    *("firstFillLatencyP50Ms", "firstFillLatencyP95Ms", "firstFillLatencyP99Ms"),
    *("lastFillLatencyP50Ms", "lastFillLatencyP95Ms", "lastFillLatencyP99Ms"),
    *("cancelLatencyP50Ms", "cancelLatencyP95Ms", "cancelLatencyP99Ms"),
    *("quantityFillRate", "netExposure"),
)
NEW_COUNTS = ("tradingDays", "trades24h", "totalOrders", "droppedLatencies", "disagreements")
NEW_TEXTS = ("undefined", "lowConfidence", "differences")
OLD_FIGURES = (
    *("portfolioValue", "totalPnL", "realizedPnL", "unrealizedPnL"),
    *("sharpeRatio", "sortinoRatio", "calmarRatio", "volatility", "maxDrawdown", "currentDrawdown"),
    *("var95", "var99", "cvar95", "winRate", "profitFactor", "expectancy", "totalTrades", "tradesPerDay"),
    *("averageTradeDuration", "slippageBps", "orderLatencyMs", "fillRate", "rejectRate"),
    *("exposure", "leverage"),
)


def upgrade() -> None:
    with op.batch_alter_table("performance_metrics") as table:
        for name in NEW_NUMBERS:
            table.add_column(sa.Column(name, sa.Float(), nullable=True))
        for name in NEW_COUNTS:
            table.add_column(sa.Column(name, sa.Integer(), nullable=True))
        for name in NEW_TEXTS:
            table.add_column(sa.Column(name, sa.Text(), nullable=True))
    op.create_index(
        "performance_metrics_computed",
        "performance_metrics",
        ["bot", "timestamp"],
        sqlite_where=sa.text("source = 'computed'"),
    )
    # What was reported twice before this revision would be in the way of the index.
    op.execute('DELETE FROM fills WHERE id NOT IN (SELECT min(id) FROM fills GROUP BY bot, symbol, "fillId")')
    op.create_index("fills_bot_fillId", "fills", ["bot", "symbol", "fillId"], unique=True)
    op.create_table(
        "analytics_checkpoints",
        sa.Column("bot", sa.String(), nullable=False),
        sa.Column("until", sa.String(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("bot", "until"),
    )
    op.create_table(
        "trades",
        sa.Column("bot", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Float(), nullable=False),
        sa.Column("openedAt", sa.Text(), nullable=False),
        sa.Column("closedAt", sa.Text(), nullable=False),
        sa.Column("entryPrice", sa.Float(), nullable=False),
        sa.Column("exitPrice", sa.Float(), nullable=False),
        sa.Column("fees", sa.Float(), nullable=False),
        sa.Column("pnl", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("bot", "number"),
    )
    op.create_index("trades_bot_closedAt", "trades", ["bot", "closedAt"])
    for name in ("equity_minutes", "equity_hours"):
        _equity_rollup(name)
    for name in ("performance_minutes", "performance_hours"):
        _performance_rollup(name)
    op.create_table(
        "rollup_position",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _equity_rollup(name: str) -> None:
    figures = ("open", "high", "low", "close", "netFlow", "drawdown", "lastDrawdown", "peak")
    op.create_table(
        name,
        sa.Column("bot", sa.String(), nullable=False),
        sa.Column("timestamp", sa.String(), nullable=False),
        *(sa.Column(figure, sa.Float(), nullable=False) for figure in figures),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("bot", "timestamp"),
    )


def _performance_rollup(name: str) -> None:
    op.create_table(
        name,
        sa.Column("bot", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("timestamp", sa.String(), nullable=False),
        *(
            sa.Column(figure, sa.Float(), nullable=True)
            for figure in (*OLD_FIGURES, *NEW_NUMBERS, *NEW_COUNTS)
        ),
        sa.Column("at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("bot", "source", "timestamp"),
    )


def downgrade() -> None:
    for name in (
        *("rollup_position", "performance_hours", "performance_minutes", "equity_hours", "equity_minutes"),
        *("trades", "analytics_checkpoints"),
    ):
        op.drop_table(name)
    op.drop_index("fills_bot_fillId", "fills")
    op.drop_index("performance_metrics_computed", "performance_metrics")
    with op.batch_alter_table("performance_metrics") as table:
        for name in (*NEW_NUMBERS, *NEW_COUNTS, *NEW_TEXTS):
            table.drop_column(name)
