"""Alerts are found by rule, by component and among the open ones through indexes."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

INDEXES = {
    "alerts_component_timestamp": ["component", "timestamp"],
    "alerts_rule_timestamp": ["rule", "timestamp"],
}


def upgrade() -> None:
    op.add_column("alerts", sa.Column("rule", sa.Text(), nullable=True))
    # A row that was damaged by hand stays without a rule: it must not keep Botwatch from starting.
    op.execute("UPDATE alerts SET rule = json_extract(details, '$.rule') WHERE json_valid(details)")
    for name, columns in INDEXES.items():
        op.create_index(name, "alerts", columns)
    open_only = sa.text("status != 'RESOLVED'")
    op.create_index("alerts_open_timestamp", "alerts", ["timestamp"], sqlite_where=open_only)


def downgrade() -> None:
    for name in (*INDEXES, "alerts_open_timestamp"):
        op.drop_index(name, "alerts")
    op.drop_column("alerts", "rule")
