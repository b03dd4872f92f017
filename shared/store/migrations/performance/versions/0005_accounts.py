"""Real accounts: positions, trades, funding and flows as records; contract terms; rates; open positions."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NEW_NUMBERS = (
    *("concentration", "marginUsed", "marginRatio", "liquidationDistance", "feesPaid", "fundingPaid"),
    *("turnover", "makerShare", "costShare", "recoveryFactor", "ulcerIndex", "timeUnderWater"),
    *("skewness", "kurtosis", "tailRatio", "beta", "alpha", "informationRatio"),
)
NEW_COUNTS = ("openPositions", "consecutiveLosses", "positionDifferences", "tradeDifferences")
NEW_TEXTS = ("currency", "benchmark", "tradeMatching", "warnings")
SYMBOL = (
    *(("positionSide", sa.Text), ("positionId", sa.Text), ("contractType", sa.Text)),
    *(("multiplier", sa.Float), ("lotSize", sa.Float)),
    *(("baseCurrency", sa.Text), ("quoteCurrency", sa.Text), ("sequence", sa.Integer)),
)
ADDED = {
    "equity": (
        *(("currency", sa.Text), ("marginUsed", sa.Float), ("maintenanceMargin", sa.Float)),
        ("sequence", sa.Integer),
    ),
    "orders": (("sequence", sa.Integer),),
    "fills": (*SYMBOL, ("liquidity", sa.Text)),
}


def trade_columns() -> tuple[sa.Column[object], ...]:
    """Return the new columns of `trades`; a column belongs to one table."""
    return (
        sa.Column("funding", sa.Float(), nullable=False, server_default="0"),
        sa.Column("positionSide", sa.Text()),
        sa.Column("positionId", sa.Text()),
        sa.Column("multiplier", sa.Float(), nullable=False, server_default="1"),
        sa.Column("contractType", sa.Text()),
        sa.Column("matching", sa.Text(), nullable=False, server_default="flat-to-flat"),
        sa.Column("maxAdverse", sa.Float()),
        sa.Column("maxFavorable", sa.Float()),
        sa.Column("undefined", sa.Text()),
    )


RECORDS = {
    "positions": (
        *(("symbol", sa.Text, True), *((name, kind, False) for name, kind in SYMBOL)),
        *(("quantity", sa.Float, True), ("side", sa.Text, False), ("entryPrice", sa.Float, False)),
        *(("markPrice", sa.Float, False), ("liquidationPrice", sa.Float, False), ("margin", sa.Float, False)),
        *(("unrealizedPnL", sa.Float, False), ("openedAt", sa.Text, False)),
    ),
    "reported_trades": (
        *(("symbol", sa.Text, True), *((name, kind, False) for name, kind in SYMBOL)),
        *(("side", sa.Text, True), ("quantity", sa.Float, True), ("entryPrice", sa.Float, True)),
        *(("exitPrice", sa.Float, True), ("pnl", sa.Float, True), ("openedAt", sa.Text, False)),
        *(("fees", sa.Float, False), ("funding", sa.Float, False), ("reason", sa.Text, False)),
    ),
    "funding": (
        *(("amount", sa.Float, True), ("type", sa.Text, False), ("symbol", sa.Text, False)),
        *(("positionSide", sa.Text, False), ("positionId", sa.Text, False), ("currency", sa.Text, False)),
        *(("rate", sa.Float, False), ("sequence", sa.Integer, False)),
    ),
    "flows": (
        *(("amount", sa.Float, True), ("type", sa.Text, False), ("currency", sa.Text, False)),
        ("sequence", sa.Integer, False),
    ),
}


def upgrade() -> None:
    for name in NEW_NUMBERS:
        op.add_column("performance_metrics", sa.Column(name, sa.Float(), nullable=True))
    for name in NEW_COUNTS:
        op.add_column("performance_metrics", sa.Column(name, sa.Integer(), nullable=True))
    for name in NEW_TEXTS:
        op.add_column("performance_metrics", sa.Column(name, sa.Text(), nullable=True))
    for rollup in ("performance_minutes", "performance_hours"):
        for name in (*NEW_NUMBERS, *NEW_COUNTS):
            op.add_column(rollup, sa.Column(name, sa.Float(), nullable=True))
    for table, columns in ADDED.items():
        for name, kind in columns:
            op.add_column(table, sa.Column(name, kind(), nullable=True))
    with op.batch_alter_table("trades") as trades:
        trades.alter_column("pnl", existing_type=sa.Float(), nullable=True)
        for column in trade_columns():
            trades.add_column(column)
    for table in RECORDS:
        _create_record_table(table)
    _create_open_positions()
    op.create_table(
        "rates",
        sa.Column("base", sa.String(), nullable=False),
        sa.Column("quote", sa.String(), nullable=False),
        sa.Column("minute", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("price", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("base", "quote", "minute"),
    )


def _create_record_table(table: str) -> None:
    op.create_table(
        table,
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("timestamp", sa.Text(), nullable=False),
        sa.Column("bot", sa.Text(), nullable=False),
        *(sa.Column(name, kind(), nullable=not required) for name, kind, required in RECORDS[table]),
        sa.Column("labels", sa.Text(), nullable=True),
        sa.Column("recordId", sa.Text(), nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index(f"{table}_bot_timestamp", table, ["bot", "timestamp"])
    op.create_index(
        f"{table}_bot_recordId",
        table,
        ["bot", "recordId"],
        unique=True,
        sqlite_where=sa.text('"recordId" IS NOT NULL'),
    )


def _create_open_positions() -> None:
    op.create_table(
        "open_positions",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("bot", "symbol", "leg")),
        sa.Column("side", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("quantity", "entryPrice")),
        sa.Column("openedAt", sa.Text()),
        sa.Column("markPrice", sa.Float()),
        sa.Column("markAt", sa.Text()),
        *(sa.Column(name, sa.Float()) for name in ("unrealizedPnL", "notional")),
        *(sa.Column(name, sa.Text()) for name in ("quoteCurrency", "contractType")),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("multiplier", "fees", "funding")),
        *(sa.Column(name, sa.Float()) for name in ("margin", "liquidationPrice", "foldedQuantity")),
        *(sa.Column(name, sa.Text()) for name in ("reportedAt", "undefined")),
        sa.Column("updatedAt", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("bot", "symbol", "leg"),
    )


def downgrade() -> None:
    for table in ("rates", "open_positions", *RECORDS):
        op.drop_table(table)
    op.execute("DELETE FROM trades WHERE pnl IS NULL")
    with op.batch_alter_table("trades") as trades:
        for column in trade_columns():
            trades.drop_column(column.name)
        trades.alter_column("pnl", existing_type=sa.Float(), nullable=False)
    for table, columns in ADDED.items():
        for name, _ in columns:
            op.drop_column(table, name)
    for rollup in ("performance_minutes", "performance_hours"):
        for name in (*NEW_NUMBERS, *NEW_COUNTS):
            op.drop_column(rollup, name)
    for name in (*NEW_NUMBERS, *NEW_COUNTS, *NEW_TEXTS):
        op.drop_column("performance_metrics", name)
