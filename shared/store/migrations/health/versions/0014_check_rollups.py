"""Availability of checks and figures of hosts by the hour; the recorder fills them from the raw rows."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

DAY_S = 86_400
COLUMNS: dict[str, type[sa.types.TypeEngine[object]]] = {
    "intervalSeconds": sa.Float,
    "lastPingAt": sa.Text,
    "nextDueAt": sa.Text,
}
"""Further columns of checks."""


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column("checks", sa.Column(name, kind(), nullable=True))
    op.create_table(
        "check_spans",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("check", sa.String(), nullable=False),
        sa.Column("begin", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.Column("until", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("interval", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("host", "check", "begin"),
        sqlite_with_rowid=False,
    )
    op.create_index("check_spans_begin", "check_spans", ["begin"])
    op.create_table(
        "check_hours",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("check", sa.String(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("ok", sa.Integer(), nullable=False),
        sa.Column("warning", sa.Integer(), nullable=False),
        sa.Column("critical", sa.Integer(), nullable=False),
        sa.Column("unknown", sa.Integer(), nullable=False),
        sa.Column("latencies", sa.Integer(), nullable=False),
        sa.Column("latencyTotal", sa.Float(), nullable=False),
        sa.Column("latencyMax", sa.Float(), nullable=True),
        sa.Column("availabilities", sa.Integer(), nullable=False),
        sa.Column("availabilityTotal", sa.Float(), nullable=False),
        sa.Column("certificateDays", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("host", "check", "hour"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "health_hours",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("mount", sa.String(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("total", sa.Float(), nullable=False),
        sa.Column("lowest", sa.Float(), nullable=False),
        sa.Column("highest", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("host", "field", "mount", "hour"),
        sqlite_with_rowid=False,
    )
    due = op.create_table(
        "rollups_due",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("check", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("host", "check", "day"),
        sqlite_with_rowid=False,
    )
    op.create_index("rollups_due_day", "rollups_due", ["day"])
    _mark_stored_days(due)


def _mark_stored_days(due: sa.Table) -> None:
    """Mark each day with rows as due. Names and ends are found through the indexes: rows may be millions."""
    for host in _names("health_metrics", "host", "1"):
        _mark_days(due, host, "", "health_metrics WHERE host = :host")
    for host in _names("checks", "host", "1"):
        for check in _names("checks", "check", "host = :host", host=host):
            _mark_days(due, host, check, 'checks WHERE host = :host AND "check" = :check')


def _names(table: str, column: str, where: str, **given: str) -> list[str]:
    found: list[str] = []
    statement = sa.text(f'SELECT min("{column}") FROM {table} WHERE {where} AND "{column}" > :after')  # noqa: S608
    while (
        name := op.get_bind().scalar(statement, {**given, "after": found[-1] if found else ""})
    ) is not None:
        found.append(name)
    return found


def _mark_days(due: sa.Table, host: str, check: str, rows: str) -> None:
    given = {"host": host, "check": check} if check else {"host": host}
    queries = [f"SELECT {end}(timestamp) FROM {rows}" for end in ("min", "max")]  # noqa: S608
    ends = [op.get_bind().scalar(sa.text(query), given) for query in queries]
    first, last = (int(datetime.fromisoformat(end).replace(tzinfo=UTC).timestamp()) // DAY_S for end in ends)
    op.bulk_insert(due, [{"host": host, "check": check, "day": day} for day in range(first, last + 1)])


def downgrade() -> None:
    for table in ("rollups_due", "health_hours", "check_hours", "check_spans"):
        op.drop_table(table)
    with op.batch_alter_table("checks") as table:
        for name in COLUMNS:
            table.drop_column(name)
