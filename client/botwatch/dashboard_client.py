"""What the dashboard answers, as far as a client relies on it; further keys are passed over.

Figures are None where they are undefined or were not measured.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

from botwatch.http_client import HttpClient
from botwatch.typed_json import Document

Status = Literal["HEALTHY", "WARNING", "CRITICAL", "UNKNOWN"]
_BEST_FIRST: tuple[Status, ...] = ("HEALTHY", "UNKNOWN", "WARNING", "CRITICAL")


@dataclass(kw_only=True)
class DashboardSummary:
    """How everything is, in one word, and why."""

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
    """The open alerts, worst first as the server sorts them."""

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
    """How one check on a host stands: a process, an exchange, a certificate."""

    type: str
    status: Literal["ok", "warning", "critical", "unknown"]
    text: str = ""
    """What was seen, one sentence."""
    reason: str | None = None
    timestamp: datetime | None = None
    check_latency_ms: float | None = None
    availability: float | None = None


@dataclass(kw_only=True)
class Dashboard:
    """The answer to `GET /api/monitoring`."""

    timestamp: datetime
    summary: DashboardSummary
    performance: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Each bot's latest performance record, with the names of the wire."""
    health: dict[str, HostHealth] = field(default_factory=dict)
    checks: dict[str, dict[str, HostCheck]] = field(default_factory=dict)
    """Each host's checks by name."""
    alerts: Alerts = field(default_factory=Alerts)
    trends: Document = field(default_factory=dict)
    system: Document = field(default_factory=dict)


@dataclass(frozen=True)
class Cpu:
    """Percent busy, and the number of processors."""

    usage: float | None
    cores: int | None


@dataclass(frozen=True)
class HostMemory:
    """Percent used, and bytes."""

    usage: float | None
    total_bytes: int | None
    available_bytes: int | None


@dataclass(frozen=True)
class HostDisk:
    """Percent used of the fullest file system."""

    usage: float | None


@dataclass(frozen=True)
class Network:
    """Milliseconds to the exchanges."""

    latency: float | None


@dataclass(frozen=True)
class HealthStatus:
    """How a host is."""

    host: str
    status: Status
    reasons: list[str]
    timestamp: datetime | None
    cpu: Cpu
    memory: HostMemory
    disk: HostDisk
    network: Network
    checks: dict[str, HostCheck]
    """What is checked there, by name."""


class DashboardClient:
    """Botwatch's dashboard, asked over HTTP."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._server = HttpClient(url, timeout_s=timeout_s)

    def dashboard(self) -> Dashboard:
        """Return everything at a glance."""
        return self._server.get("/api/monitoring", Dashboard)

    def acknowledge(self, alert_id: str, by: str, comment: str | None) -> DashboardAlert:
        """Say that `by` looks after an alert, and return it."""
        body = {"by": by} | ({"comment": comment} if comment is not None else {})
        return self._server.post(
            f"/api/monitoring/alerts/{quote(alert_id, safe='')}/acknowledge", body, DashboardAlert
        )

    def close(self) -> None:
        """Close the connection."""
        self._server.close()


def health_status(dashboard: Dashboard, host: str | None) -> HealthStatus | None:
    """Return how `host` is, or the host that is worst off; None when it never reported."""
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
