"""Tables of the two databases. Columns of records have the wire's names and are derived from its structs.

`performance_metrics.db` holds what bots report; `system_health.db` holds hosts, alerts and deliveries.
Timestamps are UTC text `YYYY-MM-DD HH:MM:SS.SSS`, comparable with SQLite's `datetime()`.
"""

import msgspec
from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from shared.schema import records
from shared.schema.units import metric_fields

performance_metadata = MetaData()
health_metadata = MetaData()

_NAMED_BEFORE = {"timestamp", "id", "labels"}
"""Record fields with a column of another meaning or name: `id` is the row's, the record's is `recordId`."""


def _column(name: str, kind: object, *, required: bool) -> Column[object]:
    info = msgspec.inspect.type_info(kind)
    parts = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    plain = [part.type if isinstance(part, msgspec.inspect.Metadata) else part for part in parts]
    types: list[type] = [type(part) for part in plain]
    if msgspec.inspect.FloatType in types:
        return Column(name, Float, nullable=not required)
    if msgspec.inspect.IntType in types and msgspec.inspect.DateTimeType not in types:
        return Column(name, Integer, nullable=not required)
    return Column(name, Text, nullable=not required)


def _record_table(name: str, record: type[records.Record], metadata: MetaData, subject: str) -> Table:
    """Return the table of a record kind: wide rows, one index, and identity only if the sender gave one.

    A second full index would halve the write rate (measured); a partial one costs nothing for rows without a
    `recordId`.
    """
    columns = [
        _column(field.encode_name, field.type, required=field.required)
        for field in msgspec.structs.fields(record)
        if field.encode_name not in _NAMED_BEFORE
    ]
    return Table(
        name,
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("timestamp", Text, nullable=False),
        *columns,
        Column("labels", Text),
        Column("recordId", Text),
        Index(f"{name}_{subject}_timestamp", subject, "timestamp"),
        Index(
            f"{name}_{subject}_recordId",
            subject,
            "recordId",
            unique=True,
            sqlite_where=text('"recordId" IS NOT NULL'),
        ),
        sqlite_autoincrement=True,
    )


def subject_column(table: Table) -> Column[object]:
    """Return the column with the bot or host of a row."""
    return table.c.host if "host" in table.c else table.c.bot


PARTITION = 0
"""Value of every `partition` column: there is one log."""


def _log_position(metadata: MetaData) -> Table:
    """Return the table of log offsets, written in the transaction of the rows."""
    return Table(
        "log_position",
        metadata,
        Column("reader", String, primary_key=True),
        Column("partition", Integer, primary_key=True, autoincrement=False),
        Column("entry", Text, nullable=False),
    )


performance_metrics = _record_table(
    "performance_metrics", records.Performance, performance_metadata, subject="bot"
)
Index(
    "performance_metrics_computed",
    performance_metrics.c.bot,
    performance_metrics.c.timestamp,
    sqlite_where=text("source = 'computed'"),
)
"""Computed records are deleted sooner than reported ones; there is at most one per second and bot."""
REMARKS = {"undefined": "undefinedId", "lowConfidence": "lowConfidenceId"}
"""Fields of computed records that rarely change, and the column with the ID of their text."""
for _name in REMARKS.values():
    performance_metrics.append_column(Column(_name, Integer, nullable=True))
performance_remarks = Table(
    "performance_remarks",
    performance_metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("text", Text, nullable=False, unique=True),
    Column("lastUsed", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""Texts (JSON) of `REMARKS`, each once; `lastUsed` is the latest day with a row that has it.

Stored in each row they would take ten times the space of the metrics: 2 KB per second and bot. Older rows,
and reported records, have theirs in `undefined` and `lowConfidence`.
"""
equity = _record_table("equity", records.Equity, performance_metadata, subject="bot")
orders = _record_table("orders", records.Order, performance_metadata, subject="bot")
fills = _record_table("fills", records.Fill, performance_metadata, subject="bot")
positions = _record_table("positions", records.PositionSnapshot, performance_metadata, subject="bot")
"""Positions as brokers reported them."""
reported_trades = _record_table("reported_trades", records.ReportedTrade, performance_metadata, subject="bot")
Index(
    "reported_trades_bot_closed",
    *(reported_trades.c[name] for name in ("bot", "timestamp", "id", "pnl", "symbol", "side")),
)
funding = _record_table("funding", records.FundingPayment, performance_metadata, subject="bot")
flows = _record_table("flows", records.CashFlow, performance_metadata, subject="bot")
heartbeats = _record_table("heartbeats", records.Heartbeat, performance_metadata, subject="bot")
FILL_IDENTITY = ("bot", "symbol", "fillId", "orderId", "side", "quantity", "price")
Index("fills_bot_fillId", *(fills.c[name] for name in FILL_IDENTITY), unique=True)
"""An execution is one row, however often the bot reports it.

`fillId` alone does not identify it: some exchanges count per order, and paper bots restart at 1.
"""
samples = _record_table("samples", records.Metric, performance_metadata, subject="bot")
events = _record_table("events", records.Event, performance_metadata, subject="bot")
performance_position = _log_position(performance_metadata)

checkpoints = Table(
    "analytics_checkpoints",
    performance_metadata,
    Column("bot", String, primary_key=True),
    Column("until", String, primary_key=True),
    Column("state", Text, nullable=False),
)
"""The state of a bot's metrics with all rows up to and including `until` folded in."""

trades = Table(
    "trades",
    performance_metadata,
    Column("bot", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("symbol", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("quantity", Float, nullable=False),
    Column("openedAt", Text, nullable=False),
    Column("closedAt", Text, nullable=False),
    Column("entryPrice", Float, nullable=False),
    Column("exitPrice", Float, nullable=False),
    Column("fees", Float, nullable=False),
    Column("pnl", Float, nullable=True),
    Column("funding", Float, nullable=False, server_default="0"),
    Column("positionSide", Text),
    Column("positionId", Text),
    Column("multiplier", Float, nullable=False, server_default="1"),
    Column("contractType", Text),
    Column("matching", Text, nullable=False, server_default="flat-to-flat"),
    Column("maxAdverse", Float),
    Column("maxFavorable", Float),
    Column("undefined", Text),
    Index("trades_bot_closed", "bot", "closedAt", "number", "pnl", "symbol", "side"),
)
"""Closed trades made from the fills; `pnl` is net of `fees` and `funding` (paid), in account currency.

`maxAdverse` and `maxFavorable` are the lowest and highest unrealised P&L while a trade was open, where market
prices are known. `undefined` is the reason why `pnl` is null.
"""

open_positions = Table(
    "open_positions",
    performance_metadata,
    Column("bot", String, primary_key=True),
    Column("symbol", String, primary_key=True),
    Column("leg", String, primary_key=True),
    Column("side", Text, nullable=False),
    Column("quantity", Float, nullable=False),
    Column("entryPrice", Float, nullable=False),
    Column("openedAt", Text),
    Column("markPrice", Float),
    Column("markAt", Text),
    Column("unrealizedPnL", Float),
    Column("notional", Float),
    Column("quoteCurrency", Text),
    Column("contractType", Text),
    Column("multiplier", Float, nullable=False),
    Column("fees", Float, nullable=False),
    Column("funding", Float, nullable=False),
    Column("margin", Float),
    Column("liquidationPrice", Float),
    Column("foldedQuantity", Float),
    Column("reportedAt", Text),
    Column("undefined", Text),
    Column("updatedAt", Text, nullable=False),
)
"""Every bot's open positions, replaced by the recorder; `leg` is the position side or ID, empty without one.

`quantity` is positive; `notional` and `unrealizedPnL` are in account currency, `undefined` is why they are
null. `reportedAt` is the time of the latest `position` record; `foldedQuantity` (signed) is what the fills
gave where that record differed from it.
"""

rates = Table(
    "rates",
    performance_metadata,
    Column("base", String, primary_key=True),
    Column("quote", String, primary_key=True),
    Column("minute", Integer, primary_key=True, autoincrement=False),
    Column("at", Integer, nullable=False),
    Column("price", Float, nullable=False),
)
"""Prices of currencies: the first that any bot reported in each minute since 1970; `at` is epoch ms."""


def _equity_rollup(name: str) -> Table:
    return Table(
        name,
        performance_metadata,
        Column("bot", String, primary_key=True),
        Column("timestamp", String, primary_key=True),
        *(Column(figure, Float, nullable=False) for figure in ("open", "high", "low", "close", "netFlow")),
        *(Column(figure, Float, nullable=False) for figure in ("drawdown", "lastDrawdown", "peak")),
        Column("points", Integer, nullable=False),
    )


equity_minutes = _equity_rollup("equity_minutes")
equity_hours = _equity_rollup("equity_hours")
"""Equity by the start of the minute or hour.

`drawdown` is the deepest in it, `lastDrawdown` the one at its end (fractions of the peak); `peak` is the peak
at its end, adjusted for deposits and withdrawals.
"""


def _performance_rollup(name: str) -> Table:
    return Table(
        name,
        performance_metadata,
        Column("bot", String, primary_key=True),
        Column("source", String, primary_key=True),
        Column("timestamp", String, primary_key=True),
        *(Column(figure.wire, Float, nullable=True) for figure in metric_fields(records.Performance)),
        Column("at", Text, nullable=False),
    )


performance_minutes = _performance_rollup("performance_minutes")
performance_hours = _performance_rollup("performance_hours")
"""The last metrics of each minute or hour, by its start; `at` is their own time."""

rollup_position = Table(
    "rollup_position",
    performance_metadata,
    Column("name", String, primary_key=True),
    Column("row", Integer, nullable=False),
)
"""The last row of `performance_metrics` that is rolled up."""

health_metrics = _record_table("health_metrics", records.Health, health_metadata, subject="host")
health_metrics.append_column(Column("activeAlerts", Integer, nullable=False, server_default="0"))
checks = _record_table("checks", records.Check, health_metadata, subject="host")
Index("checks_host_check_timestamp", checks.c.host, checks.c.check, checks.c.timestamp)
health_position = _log_position(health_metadata)

check_spans = Table(
    "check_spans",
    health_metadata,
    Column("host", String, primary_key=True),
    Column("check", String, primary_key=True),
    Column("begin", Integer, primary_key=True, autoincrement=False),
    Column("last", Integer, nullable=False),
    Column("until", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("interval", Integer, nullable=False),
    Column("reason", Text),
    Column("text", Text, nullable=False, server_default=""),
    Index("check_spans_begin", "begin"),
    sqlite_with_rowid=False,
)
"""Spans of one status of a check, within a UTC day: see `shared/analytics/availability.py`. Epoch ms.

`begin` is the first result's time, `last` the latest one's; the status counts to `until`. `interval` is that
of its results; `reason` and `text` are the first result's, kept where the status is not ok.
"""

check_hours = Table(
    "check_hours",
    health_metadata,
    Column("host", String, primary_key=True),
    Column("check", String, primary_key=True),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    *(Column(status, Integer, nullable=False) for status in ("ok", "warning", "critical", "unknown")),
    Column("latencies", Integer, nullable=False),
    Column("latencyTotal", Float, nullable=False),
    Column("latencyMax", Float),
    Column("availabilities", Integer, nullable=False),
    Column("availabilityTotal", Float, nullable=False),
    Column("certificateDays", Float),
    sqlite_with_rowid=False,
)
"""Results of a check by the hour (hours since 1970): their number by status, `checkLatencyMs` and
`availability` as number and total, the highest latency and the fewest certificate days."""

health_hours = Table(
    "health_hours",
    health_metadata,
    Column("host", String, primary_key=True),
    Column("field", String, primary_key=True),
    Column("mount", String, primary_key=True),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("samples", Integer, nullable=False),
    Column("total", Float, nullable=False),
    Column("lowest", Float, nullable=False),
    Column("highest", Float, nullable=False),
    sqlite_with_rowid=False,
)
"""Figures of a host by the hour (hours since 1970); `mount` is empty, or that of a figure of one disk."""

rollups_due = Table(
    "rollups_due",
    health_metadata,
    Column("host", String, primary_key=True),
    Column("check", String, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Index("rollups_due_day", "day"),
    sqlite_with_rowid=False,
)
"""Days (since 1970) whose rollups are to be made again from the raw rows; `check` is empty for the host's."""

TABLES: dict[type[records.Record], Table] = {
    records.Performance: performance_metrics,
    records.Equity: equity,
    records.Order: orders,
    records.Fill: fills,
    records.PositionSnapshot: positions,
    records.ReportedTrade: reported_trades,
    records.FundingPayment: funding,
    records.CashFlow: flows,
    records.Heartbeat: heartbeats,
    records.Metric: samples,
    records.Event: events,
    records.Health: health_metrics,
    records.Check: checks,
}
"""Table of each record kind."""

alerts = Table(
    "alerts",
    health_metadata,
    Column("id", String, primary_key=True),
    Column("timestamp", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("component", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("details", Text),
    Column("resolvedAt", Text),
    Column("assignee", Text),
    Column("fingerprint", Text, nullable=False),
    Column("updatedAt", Text, nullable=False),
    Column("acknowledgedAt", Text),
    Column("acknowledgedUntil", Text),
    Column("comment", Text),
    Column("rule", Text),
    Index("alerts_timestamp", "timestamp"),
    Index("alerts_component_timestamp", "component", "timestamp"),
    Index("alerts_rule_timestamp", "rule", "timestamp"),
    Index("alerts_open_timestamp", "timestamp", sqlite_where=text("status != 'RESOLVED'")),
    Index("alerts_fingerprint_resolvedAt", "fingerprint", "resolvedAt"),
    Index(
        "alerts_open_fingerprint",
        "fingerprint",
        unique=True,
        sqlite_where=text("status != 'RESOLVED'"),
    ),
)
"""Alerts; `rule` is the one in `details`, to search and filter by."""

alert_events = Table(
    "alert_events",
    health_metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("alertId", String, ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False),
    Column("timestamp", Text, nullable=False),
    Column("change", Text, nullable=False),
    Column("by", Text),
    Column("comment", Text),
    Column("notice", Text),
    Index("alert_events_alert", "alertId"),
    sqlite_autoincrement=True,
)
"""Timelines of alerts, in order of publication; `notice` is the notification, if there is one."""

external_alerts = Table(
    "external_alerts",
    health_metadata,
    Column("alertId", String, ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
    Column("endsAt", Text),
    Column("isTimeout", Integer, nullable=False),
    Column("endedAt", Text),
    Column("updatedAt", Text),
    Index("external_alerts_endsAt", "endsAt", sqlite_where=text('"endsAt" IS NOT NULL')),
)
"""Until when external alerts are valid unless they are sent again; `endsAt` is NULL once it has passed."""

notifications = Table(
    "notifications",
    health_metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("alertId", String, ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False),
    Column("eventId", Integer, ForeignKey("alert_events.id", ondelete="CASCADE"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("change", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("createdAt", Text, nullable=False),
    Column("nextAttemptAt", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("leaseOwner", Text),
    Column("leaseUntil", Text),
    Column("sentAt", Text),
    Column("lastError", Text),
    Column("reason", Text),
    Column("heldUntil", Text),
    Column("batch", Text),
    Column("fallback", Text),
    Column("response", Text),
    UniqueConstraint("eventId", "channel"),
    Index(
        "notifications_due",
        "channel",
        "state",
        "id",
        sqlite_where=text("state = 'PENDING'"),
    ),
    Index("notifications_alert", "alertId"),
    Index("notifications_channel", "channel", "id"),
    sqlite_autoincrement=True,
)
"""Outbox and history of deliveries: states PENDING, SENT, FAILED, SUPPRESSED (never sent).

`reason` says why this channel is notified; a delivery waits until `heldUntil`, then goes in one message with
those of the same `batch`; `fallback` is a JSON list of the channels to try if this one fails; `response` is
what the receiver answered when it accepted the message.
"""

message_groups = Table(
    "message_groups",
    health_metadata,
    Column("key", String, primary_key=True),
    Column("messageAt", Text, nullable=False),
)
"""When the latest message of a group of alerts was or will be due."""

escalations = Table(
    "escalations",
    health_metadata,
    Column("alertId", String, ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
    Column("route", String, primary_key=True),
    Column("state", Text, nullable=False),
    Column("dueAt", Text),
    Index("escalations_dueAt", "dueAt"),
)
"""Escalation state of an open alert along a route, as JSON; `dueAt` is NULL where nothing is due."""

rule_tracks = Table(
    "rule_tracks",
    health_metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("key", String, primary_key=True),
    Column("track", Text, nullable=False),
)
"""Rule states as JSON, as of the log offset of the reader `evaluator-tracks`."""

audit_log = Table(
    "audit_log",
    health_metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("timestamp", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("by", Text),
    Column("address", Text),
    Column("before", Text),
    Column("after", Text),
    Column("keyId", Text),
    Column("mac", Text),
    Column("outcome", Text, nullable=False, server_default="ok"),
    Column("count", Integer, nullable=False, server_default="1"),
    Index("audit_log_timestamp", "timestamp"),
    sqlite_autoincrement=True,
)
"""Administrative actions: `subject` is the target, `by` the actor; `before` and `after` are JSON.

`mac` chains each entry to the one before it (`shared/store/audit_chain.py`); NULL where older than the chain.
"""

audit_denials = Table(
    "audit_denials",
    health_metadata,
    Column("address", Text, primary_key=True),
    Column("action", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("firstAt", Text, nullable=False),
    Column("lastAt", Text, nullable=False),
)
"""Denied requests that repeat within a minute, counted until one entry of `audit_log` has their number."""

audit_documents = Table(
    "audit_documents",
    health_metadata,
    Column("name", Text, primary_key=True),
    Column("document", Text, nullable=False),
)
"""The config documents as last loaded, as JSON without secrets: what the next change is compared with."""

audit_shipping = Table(
    "audit_shipping",
    health_metadata,
    Column("receiver", Text, primary_key=True),
    Column("entryId", Integer, nullable=False),
)
"""The newest entry of `audit_log` that `syslog` or `webhook` has received."""

job_runs = Table(
    "job_runs",
    health_metadata,
    Column("name", String, primary_key=True),
    Column("startedAt", Text),
    Column("finishedAt", Text),
    Column("durationMs", Integer),
    Column("outcome", Text),
    Column("error", Text),
    Column("result", Text),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("lastSuccessAt", Text),
    Column("nextDueAt", Text, nullable=False),
)
"""Last run of each background job: outcome `running`, `success` or `failure`; `failures` in a row."""

rule_trials = Table(
    "rule_trials",
    health_metadata,
    Column("id", String, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("isDraft", Integer, nullable=False),
    Column("condition", Text, nullable=False),
    Column("days", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("progress", Float, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("requestedBy", Text, nullable=False),
    Column("requestedAt", Text, nullable=False),
    Column("finishedAt", Text),
    Column("error", Text),
    Column("result", Text),
)
"""Requested trials of rules on stored records: status waiting, running, done, failed or cancelled."""

silences = Table(
    "silences",
    health_metadata,
    Column("id", String, primary_key=True),
    Column("matchers", Text, nullable=False),
    Column("startsAt", Text, nullable=False),
    Column("endsAt", Text, nullable=False),
    Column("createdBy", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("createdAt", Text, nullable=False),
    Column("updatedAt", Text, nullable=False),
    Column("endedBy", Text),
    Index("silences_endsAt", "endsAt"),
)
"""Silences, including ended ones. `matchers` is a JSON list of {name, value, isRegex, isEqual}."""

api_tokens = Table(
    "api_tokens",
    health_metadata,
    Column("id", String, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("bots", Text, nullable=False),
    Column("hosts", Text, nullable=False),
    Column("actForOthers", Integer, nullable=False, server_default="0"),
    Column("createdAt", Text, nullable=False),
    Column("createdBy", Text, nullable=False),
    Column("expiresAt", Text),
    Column("lastUsedAt", Text),
    Column("revokedAt", Text),
    Column("revokedBy", Text),
)
"""API tokens, also revoked ones. `digest` is the SHA-256 in hexadecimal; `scopes` are separated by blanks;
`bots` and `hosts` are JSON lists of globs."""

users = Table(
    "users",
    health_metadata,
    Column("name", String, primary_key=True),
    Column("role", Text, nullable=False),
    Column("passwordHash", Text, nullable=False),
    Column("disabled", Integer, nullable=False, server_default="0"),
    Column("totpSecret", Text),
    Column("totpStep", Integer),
    Column("recoveryCodes", Text),
    Column("createdAt", Text, nullable=False),
    Column("passwordChangedAt", Text, nullable=False),
    Column("lastLoginAt", Text),
)
"""People who may sign in. `role` is viewer, operator or admin; `passwordHash` is argon2id.

`totpSecret` is encrypted; `totpStep` is the 30 s step of the last accepted code; `recoveryCodes` is a JSON
list of SHA-256 digests.
"""

sessions = Table(
    "sessions",
    health_metadata,
    Column("idHash", String, primary_key=True),
    Column("user", String, ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
    Column("createdAt", Text, nullable=False),
    Column("lastSeenAt", Text, nullable=False),
    Column("expiresAt", Text, nullable=False),
    Column("endedAt", Text),
    Column("address", Text, nullable=False),
    Column("browser", Text, nullable=False),
    Index("sessions_user", "user"),
)
"""Sessions, and for 30 days those that ended. `idHash` is the SHA-256 of the cookie's value."""

login_attempts = Table(
    "login_attempts",
    health_metadata,
    Column("id", Integer, primary_key=True),
    Column("timestamp", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("network", Text, nullable=False),
    Index("login_attempts_name", "name", "timestamp"),
    Index("login_attempts_network", "network", "timestamp"),
)
"""Logins of the last hour that failed, or are being checked; `network` is an IPv4 address or an IPv6 /64."""

database_sizes = Table(
    "database_sizes",
    health_metadata,
    Column("day", Text, primary_key=True),
    Column("database", Text, primary_key=True),
    Column("tableName", Text, primary_key=True),
    Column("rows", Integer),
    Column("bytes", Integer),
)
"""Size of each table with its indexes, a row per UTC day; `tableName` is empty for the whole database, with
its write-ahead log. `database` is performance or health; `bytes` is null where SQLite cannot tell."""

reports = Table(
    "reports",
    health_metadata,
    Column("id", String, primary_key=True),
    Column("requestedAt", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("schedule", Text),
    Column("periodTo", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("entry", Text, nullable=False),
    Index("reports_requestedAt", "requestedAt"),
    Index("reports_schedule_periodTo", "schedule", "periodTo", unique=True),
)
"""Reports that were asked for: `entry` is the `ReportEntry` as JSON; the files are in the home's `results`.

`attempts` counts how often building began; a schedule asks for each period once.
"""

report_deliveries = Table(
    "report_deliveries",
    health_metadata,
    Column("reportId", String, ForeignKey("reports.id", ondelete="CASCADE"), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("createdAt", Text, nullable=False),
    Column("nextAttemptAt", Text, nullable=False),
    Column("sentAt", Text),
    Column("error", Text),
)
"""Reports to send, a row per channel: pending (from when the report is built), sent or failed."""
