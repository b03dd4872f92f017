"""Checks, and what else the collector sees of a host."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

FIGURES: dict[str, type[sa.types.TypeEngine[object]]] = {
    "cpuPerCore": sa.Text,
    "cpuSteal": sa.Float,
    "cpuIowait": sa.Float,
    "cpuPressure": sa.Float,
    "memoryPressure": sa.Float,
    "ioPressure": sa.Float,
    "inodeUsage": sa.Float,
    "diskFullDays": sa.Float,
    "readOnlyDisks": sa.Integer,
    "diskReadBytesPerSecond": sa.Float,
    "diskWrittenBytesPerSecond": sa.Float,
    "diskBusy": sa.Float,
    "networkErrorsPerSecond": sa.Float,
    "networkDropsPerSecond": sa.Float,
    "zombies": sa.Integer,
    "openFilesUsage": sa.Float,
    "temperatureCelsius": sa.Float,
    "clockOffsetMs": sa.Float,
    "clockSynchronised": sa.Integer,
    "oomKills": sa.Integer,
    "cgroupThrottled": sa.Float,
}
"""Further columns of health_metrics."""


def upgrade() -> None:
    for name, kind in FIGURES.items():
        op.add_column("health_metrics", sa.Column(name, kind(), nullable=True))
    op.create_table(
        "checks",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("timestamp", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("check", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("checkLatencyMs", sa.Float(), nullable=True),
        sa.Column("dnsMs", sa.Float(), nullable=True),
        sa.Column("connectMs", sa.Float(), nullable=True),
        sa.Column("tlsMs", sa.Float(), nullable=True),
        sa.Column("webSocketMs", sa.Float(), nullable=True),
        sa.Column("latencyP50Ms", sa.Float(), nullable=True),
        sa.Column("latencyP95Ms", sa.Float(), nullable=True),
        sa.Column("latencyP99Ms", sa.Float(), nullable=True),
        sa.Column("availability", sa.Float(), nullable=True),
        sa.Column("clockSkewMs", sa.Float(), nullable=True),
        sa.Column("statusCode", sa.Integer(), nullable=True),
        sa.Column("certificateDays", sa.Float(), nullable=True),
        sa.Column("instances", sa.Integer(), nullable=True),
        sa.Column("processCpuUsage", sa.Float(), nullable=True),
        sa.Column("processMemoryBytes", sa.Integer(), nullable=True),
        sa.Column("processThreads", sa.Integer(), nullable=True),
        sa.Column("processOpenFiles", sa.Integer(), nullable=True),
        sa.Column("processUptimeSeconds", sa.Float(), nullable=True),
        sa.Column("restarts", sa.Integer(), nullable=True),
        sa.Column("sizeBytes", sa.Integer(), nullable=True),
        sa.Column("walBytes", sa.Integer(), nullable=True),
        sa.Column("occurrences", sa.Integer(), nullable=True),
        sa.Column("perMinute", sa.Float(), nullable=True),
        sa.Column("lateSeconds", sa.Float(), nullable=True),
        sa.Column("runSeconds", sa.Float(), nullable=True),
        sa.Column("labels", sa.Text(), nullable=True),
        sa.Column("recordId", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("checks_host_timestamp", "checks", ["host", "timestamp"])
    op.create_index("checks_host_check_timestamp", "checks", ["host", "check", "timestamp"])
    op.create_index(
        "checks_host_recordId",
        "checks",
        ["host", "recordId"],
        unique=True,
        sqlite_where=sa.text('"recordId" IS NOT NULL'),
    )


def downgrade() -> None:
    op.drop_table("checks")
    with op.batch_alter_table("health_metrics") as table:
        for name in FIGURES:
            table.drop_column(name)
