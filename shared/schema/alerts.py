"""Alerts: what is wrong with a bot or a host, from opening to resolution.

From: evaluator (opens, updates, resolves), dashboard (acknowledges, and does all of it for external alerts),
notifier (escalates, repeats) and watchdog (self-alerts). To: store, notifier, broadcaster.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.schema.durations import Duration
from shared.schema.formatting import format_comparison, metric_label, unit_named, unit_of_metric

Severity = Literal["CRITICAL", "HIGH", "MEDIUM", "LOW"]
Category = Literal["PERFORMANCE", "RESOURCE", "CONNECTIVITY", "SECURITY"]
AlertStatus = Literal["ACTIVE", "ACKNOWLEDGED", "RESOLVED"]
Change = Literal[
    "opened", "reopened", "flapping", "raised", "lowered", "updated",
    "acknowledged", "unacknowledged", "muted", "unmuted", "escalated", "repeated", "resolved",
]  # fmt: skip
"""The change that an alert event is about.

`reopened`: it had resolved shortly before; `flapping`: that happened so often that it now stays open;
`raised` and `lowered`: the severity changed; `updated`: the value changed; `unacknowledged`: the
acknowledgement expired; `muted` and `unmuted`: a silence, a maintenance window or another alert suppresses
its notifications, or no longer does; `escalated`: not acknowledged in time, the next step of the policy is
taken; `repeated`: still open after the repeat interval.
"""
NOTIFIED: frozenset[Change] = frozenset((
    "opened", "reopened", "flapping", "raised", "unacknowledged", "unmuted", "escalated", "repeated",
    "resolved",
))  # fmt: skip
"""The changes that cause notifications."""

MAX_BULK = 500
"""Maximum number of alerts in one request."""

SEVERITIES: tuple[Severity, ...] = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
"""From least to worst."""


class External(
    msgspec.Struct,
    kw_only=True,
    frozen=True,
    rename={"starts_at": "startsAt", "generator_url": "generatorURL"},
):
    """What only an external alert has: it was posted to the Alertmanager API, by Prometheus for example."""

    annotations: dict[str, str] = {}
    generator_url: str = ""
    """Where it comes from, such as the graph of its rule in Prometheus."""
    starts_at: datetime
    """When it began, as posted."""


class Details(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """The rule of an alert, its value and its limit."""

    rule: str
    bot: str | None = None
    host: str | None = None
    metric: str
    measure: str = ""
    """Name of `value`, such as `Total P&L as a share of Portfolio value`; default: the metric."""
    unit: str = ""
    """Unit of `value` and `threshold`, by its name in `shared/schema/units.py`; default: the metric's."""
    value: float
    value_text: str = ""
    """`value` as text with its unit: `-9.08%`; always derived from `value`."""
    operator: str
    threshold: float
    limit_text: str = ""
    """`threshold` as text with its unit; empty if the value needs no limit."""
    labels: dict[str, str] = {}
    links: dict[str, str] = {}
    """`alert`: its place on the page; `acknowledge`: where to POST; `runbook`: what to do."""
    runbook: str | None = None
    """A page of docs/runbooks by its name, or a URL."""
    flaps: int = 0
    """How often it reopened."""
    muted_by: str | None = None
    """Why it is muted, if it is."""
    silence: str | None = None
    """ID of the silence that mutes it."""
    raised_to: Severity | None = None
    """Minimum severity set by an escalation, until the alert resolves."""
    origin: str | None = None
    """The part of Botwatch that opened a self-alert; None: a rule, or another program."""
    external: External | None = None
    """Of an external alert, whose `labels` are those that were posted; None: a rule or a part opened it."""

    def __post_init__(self) -> None:
        # Derived for stored alerts without these fields too, and after every change of the value.
        self.measure = self.measure or metric_label(self.metric)
        self.unit = self.unit or unit_of_metric(self.metric).name
        self.value_text, self.limit_text = format_comparison(
            self.value, self.threshold, unit_named(self.unit)
        )


class Alert(msgspec.Struct, kw_only=True, rename="camel"):
    """One alert in full: the row in the store, the body of a webhook, the API's answer."""

    id: str
    timestamp: datetime
    """When it opened."""
    severity: Severity
    category: Category
    component: str
    """The bot or host that it is about."""
    message: str
    status: AlertStatus
    details: Details
    resolved_at: datetime | None = None
    assignee: str | None = None
    """Who acknowledged it."""
    fingerprint: str
    """Hash of rule, bot or host, and labels: at most one open alert for each."""
    updated_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_until: datetime | None = None
    """When the acknowledgement expires."""
    comment: str | None = None


class AlertMessage(msgspec.Struct, kw_only=True, rename="camel", tag_field="type", tag="alert"):
    """An alert on the stream `botwatch:alerts`. From: evaluator, dashboard. To: broadcaster."""

    change: Change
    alert: Alert


class Notice(Alert, kw_only=True, rename="camel"):
    """The body of a notification: the alert at the time of the change, and the change."""

    change: Change


class Acknowledgement(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/monitoring/alerts/{id}/acknowledge`."""

    by: str
    comment: str | None = None
    timeout: Duration | None = None
    """After this time the alert is active again."""


class BulkAcknowledgement(Acknowledgement, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/monitoring/alerts/acknowledge`."""

    ids: Annotated[list[str], Meta(min_length=1, max_length=MAX_BULK)]
    """IDs of the alerts."""


def is_more_severe(severity: Severity, than: Severity) -> bool:
    """Return whether `one` is more severe than `than`."""
    return SEVERITIES.index(severity) > SEVERITIES.index(than)


def most_severe(severity: Severity, other: Severity | None) -> Severity:
    """Return the more severe of two severities."""
    return other if other is not None and is_more_severe(other, severity) else severity


def next_severity(severity: Severity) -> Severity:
    """Return the next higher severity; CRITICAL stays."""
    return SEVERITIES[min(SEVERITIES.index(severity) + 1, len(SEVERITIES) - 1)]


def alert_links(alert: Alert, dashboard_url: str) -> dict[str, str]:
    """Return the URLs of an alert on the page, its acknowledgement, and its runbook."""
    links = {
        "alert": f"{dashboard_url}/alerts/{alert.id}",
        "acknowledge": f"{dashboard_url}/api/monitoring/alerts/{alert.id}/acknowledge",
    }
    if runbook := alert.details.runbook:
        links["runbook"] = runbook if "://" in runbook else f"{dashboard_url}/runbooks/{runbook}"
    return links


def build_notice(alert: Alert, change: Change) -> Notice:
    """Return the notification for an alert in its current state."""
    return Notice(**msgspec.structs.asdict(alert), change=change)


def encode_json(message: object) -> bytes:
    """Return the JSON of an alert, notice or message."""
    return msgspec.json.encode(message)
