"""Reports: what is asked for, what is known of each, and its contents.

From: dashboard (requests), jobs (builds). To: dashboard, notifier. The struct `Report` is the only source of
the JSON, the page and the PDF of a report. Shares are in percent, money in the currency named beside it.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.schema.records import Status

PeriodKind = Literal["daily", "weekly", "monthly", "custom"]
ReportKind = Literal["monitoring", "performance"]
ReportFormat = Literal["html", "pdf"]
ReportState = Literal["pending", "running", "done", "failed"]
DeliveryState = Literal["pending", "sent", "failed"]
Timestamp = Annotated[datetime, Meta(tz=True)]
Priority = Literal["high", "medium", "low"]

FORMATS: tuple[ReportFormat, ...] = ("html", "pdf")
MAX_PATTERNS = 50
MAX_DAYS = 366
"""The longest period, days."""


class Part(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A part of a report."""


class ReportRequest(msgspec.Struct, kw_only=True, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The body of `POST /api/monitoring/reports`. From: people, schedules. To: jobs."""

    period: PeriodKind | None = None
    """The last complete day, week or month, or `custom` with `from` and `to`; default: the day, or `custom`
    where `from` is given."""
    from_: Timestamp | None = msgspec.field(default=None, name="from")
    to: Timestamp | None = None
    """Exclusive; default: now."""
    time_zone: Annotated[str, Meta(max_length=64)] = "UTC"
    """Where days, weeks and months begin."""
    kind: ReportKind = "monitoring"
    """`performance` leaves out alerts, on-call load, checks and hosts."""
    bots: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=128)]], Meta(max_length=MAX_PATTERNS)
    ] = []
    """Names or patterns (`scalper-*`); empty: all."""
    formats: list[ReportFormat] = msgspec.field(default_factory=lambda: list(FORMATS))
    """Besides JSON."""
    channels: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=20)] = []
    """Channels that the report is sent to."""
    requested_by: Annotated[str, Meta(max_length=256)] = ""
    """Who asks; with an identity, its own name."""


class Period(Part, kw_only=True, frozen=True):
    """A span of time, and the span before it that it is compared with."""

    kind: PeriodKind
    since: datetime = msgspec.field(name="from")
    until: datetime = msgspec.field(name="to")
    """Exclusive."""
    previous_since: datetime = msgspec.field(name="previousFrom")
    time_zone: str = "UTC"

    @property
    def previous_until(self) -> datetime:
        """End of the span before: the beginning of this one."""
        return self.since


class ReportDelivery(Part, kw_only=True, frozen=True):
    """How sending a report to one channel went."""

    channel: str
    state: DeliveryState
    attempts: int = 0
    sent_at: datetime | None = None
    error: str | None = None


class ReportEntry(Part, kw_only=True, frozen=True):
    """What is known of one report: an entry of the list."""

    report_id: str
    title: str
    kind: ReportKind
    state: ReportState
    period: Period
    bots: list[str] = []
    """As requested; empty: all."""
    formats: list[ReportFormat] = []
    schedule: str | None = None
    """The schedule that asked for it; None: a person."""
    requested_at: datetime
    requested_by: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None
    status: Status | None = None
    """Overall status when it was built."""
    recommendations: int | None = None
    """How many there are."""
    bytes: dict[str, int] = {}
    """Size of each file by format."""
    expires_at: datetime | None = None
    """When it is deleted."""
    deliveries: list[ReportDelivery] = []


class Figure(Part, kw_only=True, frozen=True):
    """One figure of the period, and of the period before."""

    name: str
    """As in the API."""
    label: str
    unit: str
    """By its name in `shared/schema/units.py`."""
    value: float | None
    previous: float | None = None
    note: str = ""
    """Why it is undefined, how few values are behind it, or who reported it."""


class CurvePoint(Part, kw_only=True, frozen=True, array_like=True):
    """A point of an equity curve: `[time, equity, return since the beginning, drawdown]`."""

    at: datetime
    equity: float
    growth: float
    """Percent."""
    drawdown: float
    """Deepest since the point before, below the highest of the period; percent."""


class YearReturns(Part, kw_only=True, frozen=True):
    """The returns of a year by month, percent; None without any."""

    year: int
    months: list[float | None]
    total: float | None


class DrawdownEpisode(Part, kw_only=True, frozen=True):
    """A fall from a peak until it is reached again."""

    began: datetime
    deepest_at: datetime
    ended: datetime | None
    """None: not recovered."""
    depth: float
    """Percent."""
    days: float


class TradeGroup(Part, kw_only=True, frozen=True):
    """Trades closed in the period that have something in common."""

    key: str
    trades: int
    wins: int
    losses: int
    pnl: float
    gains: float
    lost: float
    """Positive."""
    undefined: int = 0
    """Trades without a known P&L."""


class TradeBreakdown(Part, kw_only=True, frozen=True):
    """The trades of the period, net of fees and funding."""

    total: TradeGroup
    previous: TradeGroup
    by_symbol: list[TradeGroup] = []
    """The best and the worst first; the rest together."""
    by_weekday: list[TradeGroup] = []
    by_hour: list[TradeGroup] = []


class FigureDifference(Part, kw_only=True, frozen=True):
    """A figure that a bot reports otherwise than it is computed."""

    name: str
    label: str
    unit: str
    reported: float
    computed: float


class AccountReport(Part, kw_only=True, frozen=True):
    """One bot, or all bots of the report as one account: the portfolio."""

    name: str
    currency: str | None = None
    reason: str | None = None
    """Why there are no figures."""
    figures: list[Figure] = []
    """Of the period."""
    risk: list[Figure] = []
    """Since the beginning, as of the end of the period (and of the one before)."""
    execution: list[Figure] = []
    curve: list[CurvePoint] = []
    returns: list[float] = []
    """Of each day of the period, percent; the first day of all has none."""
    monthly: list[YearReturns] = []
    trailing: list[Figure] = []
    """Returns up to the end of the period (of the month, the year, 3, 6, 12 months); best and worst month."""
    drawdowns: list[DrawdownEpisode] = []
    """The deepest."""
    trades: TradeBreakdown | None = None
    differences: list[FigureDifference] = []
    warnings: list[str] = []


class BotRow(Part, kw_only=True, frozen=True):
    """A bot in the table of all bots."""

    bot: str
    currency: str | None
    figures: list[Figure]


class Incident(Part, kw_only=True, frozen=True):
    """An alert that opened in the period."""

    id: str
    opened_at: datetime
    severity: str
    rule: str
    component: str
    message: str
    status: str
    acknowledge_seconds: float | None
    resolve_seconds: float | None
    notices: int


class IncidentGroup(Part, kw_only=True, frozen=True):
    """The alerts of a rule."""

    key: str
    opened: int
    previous: int
    acknowledged: int
    resolved: int
    acknowledge_seconds: float | None
    """Median."""
    resolve_seconds: float | None
    """Median."""
    short: int
    """How many resolved within five minutes without an acknowledgement."""
    notices: int


class Incidents(Part, kw_only=True, frozen=True):
    """The alerts that opened in the period."""

    figures: list[Figure] = []
    by_severity: dict[str, int] = {}
    by_rule: list[IncidentGroup] = []
    longest: list[Incident] = []


class OnCallGroup(Part, kw_only=True, frozen=True):
    """The notices of a person or a channel."""

    key: str
    notices: int
    previous: int
    at_night: int
    """From 22:00 to 07:00 in the report's time zone."""
    alerts: int
    failed: int
    """Notices that were not delivered."""


class OnCallLoad(Part, kw_only=True, frozen=True):
    """Notices that were sent in the period."""

    by_person: list[OnCallGroup] = []
    by_channel: list[OnCallGroup] = []


class CheckUptime(Part, kw_only=True, frozen=True):
    """How often a check was fine."""

    host: str
    check: str
    uptime: float | None
    """Share of the known time in which it was not critical, percent; None if nothing is known."""
    previous: float | None
    outages: int
    downtime_seconds: float
    latency_ms: float | None
    certificate_days: float | None = None


class HostTrend(Part, kw_only=True, frozen=True):
    """A host over the period, percent."""

    host: str
    cpu_mean: float | None
    cpu_max: float | None
    memory_mean: float | None
    memory_max: float | None
    disk_begin: float | None
    disk_end: float | None
    disk_full_days: float | None
    """At the end of the period."""
    cpu: list[float | None] = []
    memory: list[float | None] = []
    disk: list[float | None] = []
    """Means (CPU, memory) and highest values (disk) of up to 60 equal parts of the period."""


class Evidence(Part, kw_only=True, frozen=True):
    """A figure behind a recommendation, and the limit that it is beyond."""

    figure: str
    value: str
    limit: str = ""


class Recommendation(Part, kw_only=True, frozen=True):
    """What the data suggests to do."""

    rule: str
    """Which rule of `services/jobs/reports/recommendations.py` says so."""
    priority: Priority
    subject: str
    """The bot, host, check, channel or rule that it is about."""
    text: str
    evidence: list[Evidence]


class Summary(Part, kw_only=True, frozen=True):
    """The overall status when the report was built, as `GET /api/monitoring` has it."""

    status: Status
    reasons: list[str]
    handled: list[str]
    bots: int
    hosts: int
    active_alerts: int
    portfolio_value: float | None = None
    currency: str | None = None


class ReportDashboard(Part, kw_only=True, frozen=True):
    """The dashboard when the report was built."""

    summary: Summary


class Report(Part, kw_only=True, frozen=True):
    """A report in full."""

    report_id: str
    title: str
    kind: ReportKind
    generated_at: datetime
    version: str
    period: Period
    requested_bots: list[str] = []
    dashboard: ReportDashboard
    recommendations: list[Recommendation] = []
    portfolio: AccountReport
    bots: list[BotRow] = []
    accounts: list[AccountReport] = []
    """Bots in detail."""
    incidents: Incidents | None = None
    on_call: OnCallLoad | None = None
    checks: list[CheckUptime] = []
    hosts: list[HostTrend] = []
    notes: list[str] = []
    """Limits that were reached, and what is left out."""


class ReportSchedule(Part, kw_only=True, frozen=True):
    """A schedule as configured, and when it is due."""

    name: str
    period: PeriodKind
    at: str
    time_zone: str
    kind: ReportKind
    bots: list[str]
    formats: list[ReportFormat]
    channels: list[str]
    next_at: datetime
    path: str
    """Where it is configured in the document, such as `reports.schedules.daily`."""


class ReportSchedules(Part, kw_only=True, frozen=True):
    """The reports by schedule, how long reports are kept, and where that is configured."""

    schedules: list[ReportSchedule]
    retention_days: int
    file: str
    """Name of the document."""
    path: str
