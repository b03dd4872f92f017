"""The types of answers that are put together as dicts: they only describe (`shared.runtime.web.openapi`)."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, defstruct, field

from services.dashboard.snapshot import PERFORMANCE_METRICS
from shared.schema.alerts import Alert, Severity
from shared.schema.jobs import JobStatus, Outcome
from shared.schema.metric_definitions import DEFINITIONS
from shared.schema.records import Check, Difference, Event, Health, Performance
from shared.schema.units import metric_fields
from shared.store.database_sizes import Growth

_UNITS = {metric.wire: metric.unit.name for metric in metric_fields(Performance)}


def _metric_type(wire: str) -> Any:  # noqa: ANN401 - an annotation
    metric = DEFINITIONS[wire]
    text = f"{metric.text} Unit: {_UNITS[wire]}. Null: {metric.undefined}."
    return Annotated[float | None, Meta(description=text)]


class Answer(msgspec.Struct, kw_only=True, rename="camel"):
    """What all answers have in common."""


Figures = defstruct(
    "Figures", [(wire, _metric_type(wire)) for wire in PERFORMANCE_METRICS], bases=(Answer,), kw_only=True
)
"""Every performance metric."""


class UndefinedMetric(Answer):
    """Why a metric is null."""

    reason: str
    n: int
    """How many samples there are."""
    text: str


class Warning(Answer):  # noqa: A001 - the word of the field
    """A doubt about the computed metrics."""

    code: str
    text: str


class CustomMetric(Answer):
    """The latest value of a metric that is the bot's own."""

    value: float
    unit: str
    timestamp: datetime


class LabelledMetric(CustomMetric):
    """The latest value with these labels."""

    labels: dict[str, str]


class CustomMetrics(CustomMetric):
    """The latest value; with labels also one for each set of them."""

    series: list[LabelledMetric] | msgspec.UnsetType = msgspec.UNSET


class LastEvent(Event, tag=False, kw_only=True, rename="camel"):
    """An event of a bot."""


class BotSnapshot(Figures):  # type: ignore[misc,valid-type] # made of the definitions
    """Everything that is known of a bot now."""

    bot: str
    currency: str | None
    """Of the account: computed, else of the equity, else of the settings."""
    timestamp: datetime | None
    source: Literal["reported", "computed"] | None
    labels: dict[str, str]
    computed: list[str]
    """Names of metrics that the recorder computed because the bot does not report them."""
    computed_at: datetime | None
    computed_figures: dict[str, float | None] | None
    """All computed metrics."""
    undefined: dict[str, UndefinedMetric]
    """Metric → why it is null."""
    low_confidence: dict[str, int]
    """Computed metric → number of returns or trades, too few to rely on."""
    differences: dict[str, Difference]
    """Metric → reported and computed value."""
    disagreements: int | None
    benchmark: str | None
    """The symbol behind beta, alpha and information ratio."""
    trade_matching: str | None
    warnings: list[Warning]
    last_seen: datetime | None
    age_seconds: float | None
    equity: float | None
    equity_at: datetime | None
    last_order_at: datetime | None
    last_fill_at: datetime | None
    last_heartbeat_at: datetime | None
    heartbeat_status: str | None
    retired: bool
    last_event: LastEvent | None
    metrics: dict[str, CustomMetrics]


class HostSnapshot(Health, tag=False, kw_only=True, rename="camel"):
    """The latest health record of a host."""

    age_seconds: float | None


class CheckSnapshot(Check, tag=False, kw_only=True, rename="camel"):
    """The latest record of a check."""

    age_seconds: float | None


class RetiredBot(Answer):
    """A bot that is being retired, or expected again."""

    bot: str
    retired: bool


class ForgottenBot(Answer):
    """A bot whose data are being deleted."""

    bot: str
    forgotten: Literal[True]


TrendPoint = Annotated[list[datetime | float], Meta(min_length=2, max_length=2)]


class Trends(Answer):
    """The last hour of a bot: points of time and value, about 300 at most."""

    equity: list[TrendPoint]
    portfolio_value: list[TrendPoint]
    current_drawdown: list[TrendPoint]


class UsedRate(Answer):
    """A price that an amount was converted with."""

    rate: float
    at: datetime


SeverityCounts = dict[Severity, int]


class Summary(Answer):
    """The overall status."""

    status: Literal["CRITICAL", "WARNING", "UNKNOWN", "HEALTHY"]
    reasons: list[str]
    """Most severe first."""
    handled: list[str]
    """Open alerts that are acknowledged or muted, with by whom or why."""
    bots: int
    hosts: int
    active_alerts: int
    """All that are open."""
    triggered_alerts: int
    """Those that are neither acknowledged nor muted."""
    alerts_by_severity: SeverityCounts
    portfolio_value: float | None
    """Sum over the bots that have one, in `currency`."""
    portfolio_value_reason: str | None
    """Why it is null."""
    portfolio_values: dict[str, float]
    """Currency → sum; `unknown`: of accounts whose currency is unknown."""
    currency: str | None
    rates: dict[str, UsedRate]


class OverviewAlerts(Answer):
    """Alerts at a glance."""

    active: list[Alert]
    counts: SeverityCounts
    recent: list[Alert]


class PartStatus(Answer):
    """A part of Botwatch."""

    status: Literal["up", "gone"]
    host: str
    pid: int
    started_at: datetime
    seen_at: datetime


class LogGroup(Answer):
    """How far a reader of the record log is behind, in entries."""

    lag: int | None
    pending: int | None


class LogStatus(Answer):
    """The record log."""

    entries: int
    groups: dict[str, LogGroup]


class RedisStatus(Answer):
    """Redis."""

    status: Literal["up", "away"]
    latency_ms: float | None
    fault: str | None
    """Why it is down or rejects writes."""


class DatabaseStatus(Answer):
    """A database, and its size on the last measured day."""

    path: str | None
    bytes: int | None
    measured_on: date | None
    bytes_per_day: float | None
    tables: dict[str, Growth]


class DiskStatus(Answer):
    """The disk of the databases."""

    level: Literal["ok", "low", "very low", "full"]
    free_bytes: int
    total_bytes: int
    paused: list[str]


class AccessStatus(Answer):
    """Who may do what."""

    mode: Literal["open", "required"]
    warning: str | None
    """Open access is published to the network."""


class WatchdogStatus(Answer):
    """The watchdog."""

    heard_at: datetime | None
    """When its last beat arrived."""


class JobSnapshot(Answer):
    """The last run of a background job."""

    status: JobStatus
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: int | None
    outcome: Outcome | None
    error: str | None
    result: dict[str, int]
    failures: int
    """In a row."""
    last_success_at: datetime | None
    next_due_at: datetime


class BackupSnapshot(Answer):
    """A backup."""

    id: str
    file: str
    created_at: datetime | None
    finished_at: datetime | None
    bytes: int
    sha256: str
    version: str | None
    position: str | None
    """The log entry up to which everything is in it."""
    secrets: Literal["encrypted", "left out"] | None
    encrypted: bool
    verified_at: datetime | None
    verified_by: str | None
    uploaded_at: datetime | None
    error: str | None


class SystemStatus(Answer):
    """Botwatch itself."""

    version: str
    parts: dict[str, PartStatus]
    log: LogStatus | None
    redis: RedisStatus
    databases: dict[str, DatabaseStatus]
    disk: DiskStatus | None
    access: AccessStatus
    notifications: dict[str, int]
    """Channel → pending deliveries."""
    watchdog: WatchdogStatus
    jobs: dict[str, JobSnapshot]
    backup: BackupSnapshot | None
    """The newest verified one."""


class SystemNow(SystemStatus):
    """Botwatch itself at one time."""

    timestamp: datetime


class Head(Summary):
    """What the head of every view of the page shows."""

    timestamp: datetime
    attention: list[Alert]
    """The most severe alerts that need attention, the newest first; as many as `reasons` name."""
    access: AccessStatus
    version: str


class OverviewPage(Answer):
    """Which page of the bots this is."""

    limit: int
    next: str | None
    """`after` of the next page."""
    trends: bool


class Overview(Answer):
    """The whole dashboard."""

    timestamp: datetime
    summary: Summary
    performance: dict[str, BotSnapshot]
    health: dict[str, HostSnapshot]
    checks: dict[str, dict[str, CheckSnapshot]]
    alerts: OverviewAlerts
    trends: dict[str, Trends]
    system: SystemStatus
    page: OverviewPage


class PortfolioPoint(Answer):
    """A portfolio in one step."""

    timestamp: datetime
    equity: float
    net_flow: float
    pnl: float
    return_: float | None = field(name="return")
    drawdown: float
    bots: int


class Portfolio(Answer):
    """Several bots as one account."""

    value: str | None
    """The value of the label; null: without it."""
    bots: list[str]
    portfolio_value: float | None
    total_pnl: float | None = field(name="totalPnL")
    net_flows: float | None
    total_return: float | None
    current_drawdown: float | None
    max_drawdown: float | None
    sharpe_ratio: float | None
    volatility: float | None
    var95: float | None
    var95_amount: float | None
    trading_days: int
    undefined: dict[str, UndefinedMetric]
    low_confidence: dict[str, int]
    points: list[PortfolioPoint]


class LeftOut(Answer):
    """A bot that is in no portfolio."""

    bot: str
    currency: str
    reason: str


class Portfolios(Answer):
    """Several bots as one account, or an account for each value of a label."""

    label: str | None
    labels: list[str]
    from_: datetime = field(name="from")
    to: datetime
    step: int
    """Seconds."""
    resolution: str
    currency: str | None
    reason: str | None
    """Why there is none."""
    portfolios: list[Portfolio]
    left_out: list[LeftOut]


class RequestedJob(Answer):
    """A job that was requested."""

    job: str
    status: Literal["requested"]


class Ticket(Answer):
    """A one-time ticket for the WebSocket."""

    ticket: str
    expires_in_seconds: int
    port: int
    """Of the WebSocket, on the host of the dashboard."""
    url: str | None
    """Where it is instead, behind a proxy."""


Reloaded = Mapping[str, int | list[str]]
"""What the parts hold now: name → number; `warnings`: texts."""
