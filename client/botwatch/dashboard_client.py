"""The dashboard's API, as far as the client uses it; unknown keys are ignored.

Metrics are None if undefined or not measured.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote

from botwatch.errors import BotwatchError
from botwatch.http_client import HttpClient
from botwatch.typed_json import Document, decode, encode

REPORTS = "/api/monitoring/reports"
REPORT_POLL_S = 0.2
Period = Literal["day", "daily", "weekly", "monthly"]
Status = Literal["HEALTHY", "WARNING", "CRITICAL", "UNKNOWN"]
_BEST_FIRST: tuple[Status, ...] = ("HEALTHY", "UNKNOWN", "WARNING", "CRITICAL")


@dataclass(kw_only=True)
class DashboardSummary:
    """The overall status and its reasons."""

    status: Status
    reasons: list[str] = field(default_factory=list)
    active_alerts: int | None = None
    portfolio_value: float | None = None


@dataclass(kw_only=True)
class DashboardAlert:
    """One alert."""

    id: str
    timestamp: datetime
    severity: str
    category: str
    component: str
    message: str
    status: str
    details: Document = field(default_factory=dict)
    assignee: str | None = None
    comment: str | None = None
    acknowledged_at: datetime | None = None
    resolved_at: datetime | None = None


@dataclass(kw_only=True)
class Alerts:
    """The open alerts, most severe first."""

    active: list[DashboardAlert] = field(default_factory=list)


@dataclass(kw_only=True)
class HostHealth:
    """A host's latest `health` record."""

    host: str = ""
    timestamp: datetime | None = None
    system_health: Status = "UNKNOWN"
    reasons: list[str] = field(default_factory=list)
    cpu_usage: float | None = None
    cpu_cores: int | None = None
    memory_usage: float | None = None
    memory_total_bytes: int | None = None
    memory_available_bytes: int | None = None
    disk_usage: float | None = None
    network_latency: float | None = None


@dataclass(kw_only=True)
class HostCheck:
    """The latest result of one check on a host: a process, an exchange, a certificate."""

    type: str
    status: Literal["ok", "warning", "critical", "unknown"]
    text: str = ""
    """The result in one sentence."""
    reason: str | None = None
    timestamp: datetime | None = None
    check_latency_ms: float | None = None
    availability: float | None = None


@dataclass(kw_only=True)
class Dashboard:
    """The response of `GET /api/monitoring`."""

    timestamp: datetime
    summary: DashboardSummary
    performance: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Each bot's latest performance record, with field names in camel case."""
    health: dict[str, HostHealth] = field(default_factory=dict)
    checks: dict[str, dict[str, HostCheck]] = field(default_factory=dict)
    """Each host's checks by name."""
    alerts: Alerts = field(default_factory=Alerts)
    trends: Document = field(default_factory=dict)
    system: Document = field(default_factory=dict)


@dataclass(kw_only=True)
class Recommendation:
    """What a report's data suggest to do."""

    priority: Literal["high", "medium", "low"]
    subject: str
    """The bot, host, check, channel or rule that it is about."""
    text: str


@dataclass(kw_only=True)
class ReportDashboard:
    """The dashboard when the report was built."""

    summary: DashboardSummary


@dataclass(kw_only=True)
class Report:
    """A report; `document` has all of it, as `GET /api/monitoring/reports/{id}` does."""

    report_id: str
    title: str
    generated_at: datetime
    dashboard: ReportDashboard
    recommendations: list[Recommendation] = field(default_factory=list)
    document: Document = field(default_factory=dict)


@dataclass(kw_only=True)
class _ReportEntry:
    report_id: str
    state: Literal["pending", "running", "done", "failed"]
    error: str | None = None


@dataclass(frozen=True)
class Cpu:
    """CPU usage in percent, and the number of cores."""

    usage: float | None
    cores: int | None


@dataclass(frozen=True)
class HostMemory:
    """Memory usage in percent, and bytes."""

    usage: float | None
    total_bytes: int | None
    available_bytes: int | None


@dataclass(frozen=True)
class HostDisk:
    """Usage of the fullest file system in percent."""

    usage: float | None


@dataclass(frozen=True)
class Network:
    """Latency to the exchanges in milliseconds."""

    latency: float | None


@dataclass(frozen=True)
class HealthStatus:
    """The health of a host."""

    host: str
    status: Status
    reasons: list[str]
    timestamp: datetime | None
    cpu: Cpu
    memory: HostMemory
    disk: HostDisk
    network: Network
    checks: dict[str, HostCheck]
    """Its checks by name."""


class DashboardClient:
    """The dashboard's API over HTTP."""

    def __init__(self, url: str, *, token: str = "", timeout_s: float) -> None:
        self._server = HttpClient(url, token=token, timeout_s=timeout_s)

    def dashboard(self) -> Dashboard:
        """Return the current state of everything."""
        return self._server.get("/api/monitoring", Dashboard)

    def acknowledge(self, alert_id: str, by: str, comment: str | None) -> DashboardAlert:
        """Acknowledge an alert as `by`, and return it."""
        body = {"by": by} | ({"comment": comment} if comment is not None else {})
        return self._server.post(
            f"/api/monitoring/alerts/{quote(alert_id, safe='')}/acknowledge", body, DashboardAlert
        )

    def health(self, host: str | None) -> HealthStatus | None:
        """Return the health of `host`, by default of the worst one; None if it has never reported."""
        return health_status(self.dashboard(), host)

    def report(
        self,
        kind: Literal["monitoring", "performance"],
        period: Period,
        bots: Sequence[str],
        timeout_s: float,
    ) -> Report:
        """Have a report built, wait for it and return it; BotwatchError if that fails or takes too long."""
        wanted: Document = {"kind": kind, "bots": list(bots), "formats": ["html"]}
        if period == "day":
            wanted["from"] = (datetime.now(UTC) - timedelta(days=1)).isoformat()
        else:
            wanted["period"] = period
        entry = self._server.post(REPORTS, wanted, _ReportEntry)
        deadline = time.monotonic() + timeout_s
        while entry.state not in ("done", "failed") and time.monotonic() < deadline:
            time.sleep(REPORT_POLL_S)
            entry = self._server.get(f"{REPORTS}/{entry.report_id}/entry", _ReportEntry)
        if entry.state != "done":
            reason = entry.error or f"it is still {entry.state} after {timeout_s:g} s"
            raise BotwatchError(f"the report {entry.report_id} was not built: {reason}")
        document = self._server.get(f"{REPORTS}/{entry.report_id}", Document)
        report = decode(encode(document), Report)
        report.document = document
        return report

    def close(self) -> None:
        """Close the connection."""
        self._server.close()


def health_status(dashboard: Dashboard, host: str | None) -> HealthStatus | None:
    """Return the health of `host`, or of the worst one if None; None if it has never reported."""
    hosts = dashboard.health
    chosen = host if host is not None else _worst_host(hosts)
    if chosen is None or chosen not in hosts:
        return None
    found = hosts[chosen]
    return HealthStatus(
        host=chosen,
        status=found.system_health,
        reasons=found.reasons,
        timestamp=found.timestamp,
        cpu=Cpu(found.cpu_usage, found.cpu_cores),
        memory=HostMemory(found.memory_usage, found.memory_total_bytes, found.memory_available_bytes),
        disk=HostDisk(found.disk_usage),
        network=Network(found.network_latency),
        checks=dashboard.checks.get(chosen, {}),
    )


def _worst_host(hosts: dict[str, HostHealth]) -> str | None:
    return max(sorted(hosts), key=lambda name: _BEST_FIRST.index(hosts[name].system_health), default=None)
