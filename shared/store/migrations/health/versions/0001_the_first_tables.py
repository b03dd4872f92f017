"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("timestamp", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("component", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=True),
        sa.Column("resolvedAt", sa.Text(), nullable=True),
        sa.Column("assignee", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("updatedAt", sa.Text(), nullable=False),
        sa.Column("acknowledgedAt", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.create_index(
            "alerts_open_fingerprint",
            ["fingerprint"],
            unique=True,
            sqlite_where=sa.text("status != 'RESOLVED'"),
        )
        batch_op.create_index("alerts_timestamp", ["timestamp"], unique=False)

    op.create_table(
        "health_metrics",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("timestamp", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("systemHealth", sa.Text(), nullable=True),
        sa.Column("reasons", sa.Text(), nullable=True),
        sa.Column("cpuUsage", sa.Float(), nullable=True),
        sa.Column("cpuCores", sa.Integer(), nullable=True),
        sa.Column("load1", sa.Float(), nullable=True),
        sa.Column("load5", sa.Float(), nullable=True),
        sa.Column("load15", sa.Float(), nullable=True),
        sa.Column("memoryUsage", sa.Float(), nullable=True),
        sa.Column("memoryTotalBytes", sa.Integer(), nullable=True),
        sa.Column("memoryAvailableBytes", sa.Integer(), nullable=True),
        sa.Column("swapUsage", sa.Float(), nullable=True),
        sa.Column("diskUsage", sa.Float(), nullable=True),
        sa.Column("disks", sa.Text(), nullable=True),
        sa.Column("networkReceivedBytesPerSecond", sa.Float(), nullable=True),
        sa.Column("networkSentBytesPerSecond", sa.Float(), nullable=True),
        sa.Column("networkLatency", sa.Float(), nullable=True),
        sa.Column("processes", sa.Integer(), nullable=True),
        sa.Column("uptimeSeconds", sa.Float(), nullable=True),
        sa.Column("labels", sa.Text(), nullable=True),
        sa.Column("recordId", sa.Text(), nullable=True),
        sa.Column("activeAlerts", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("health_metrics", schema=None) as batch_op:
        batch_op.create_index(
            "health_metrics_host_recordId",
            ["host", "recordId"],
            unique=True,
            sqlite_where=sa.text('"recordId" IS NOT NULL'),
        )
        batch_op.create_index("health_metrics_host_timestamp", ["host", "timestamp"], unique=False)

    op.create_table(
        "log_position",
        sa.Column("reader", sa.String(), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("reader", "partition"),
    )
    op.create_table(
        "alert_events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("alertId", sa.String(), nullable=False),
        sa.Column("timestamp", sa.Text(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["alertId"], ["alerts.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("alert_events", schema=None) as batch_op:
        batch_op.create_index("alert_events_alert", ["alertId"], unique=False)

    op.create_table(
        "notifications",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("alertId", sa.String(), nullable=False),
        sa.Column("eventId", sa.Integer(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("createdAt", sa.Text(), nullable=False),
        sa.Column("nextAttemptAt", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("leaseOwner", sa.Text(), nullable=True),
        sa.Column("leaseUntil", sa.Text(), nullable=True),
        sa.Column("sentAt", sa.Text(), nullable=True),
        sa.Column("lastError", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["alertId"], ["alerts.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["eventId"], ["alert_events.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("eventId", "channel"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("notifications", schema=None) as batch_op:
        batch_op.create_index("notifications_alert", ["alertId"], unique=False)
        batch_op.create_index(
            "notifications_due",
            ["channel", "id"],
            unique=False,
            sqlite_where=sa.text("state = 'PENDING'"),
        )


def downgrade() -> None:
    with op.batch_alter_table("notifications", schema=None) as batch_op:
        batch_op.drop_index(
            "notifications_due",
            sqlite_where=sa.text("state = 'PENDING'"),
        )
        batch_op.drop_index("notifications_alert")

    op.drop_table("notifications")
    with op.batch_alter_table("alert_events", schema=None) as batch_op:
        batch_op.drop_index("alert_events_alert")

    op.drop_table("alert_events")
    op.drop_table("log_position")
    with op.batch_alter_table("health_metrics", schema=None) as batch_op:
        batch_op.drop_index("health_metrics_host_timestamp")
        batch_op.drop_index(
            "health_metrics_host_recordId",
            sqlite_where=sa.text('"recordId" IS NOT NULL'),
        )

    op.drop_table("health_metrics")
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.drop_index("alerts_timestamp")
        batch_op.drop_index(
            "alerts_open_fingerprint",
            sqlite_where=sa.text("status != 'RESOLVED'"),
        )

    op.drop_table("alerts")
