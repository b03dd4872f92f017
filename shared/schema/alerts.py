"""Alerts: what is wrong with a bot or a host, from opening to resolution.

From: evaluator (opens, updates, resolves), dashboard (acknowledges), notifier (escalates, repeats, and raises
what is wrong with Botwatch itself). To: store, notifier, broadcaster.
"""

from datetime import datetime
from typing import Literal

import msgspec

from shared.schema.durations import Duration
from shared.schema.formatting import format_comparison, metric_label, unit_named, unit_of_metric

Severity = Literal["CRITICAL", "HIGH", "MEDIUM", "LOW"]
Category = Literal["PERFORMANCE", "RESOURCE", "CONNECTIVITY", "SECURITY"]
AlertStatus = Literal["ACTIVE", "ACKNOWLEDGED", "RESOLVED"]
Change = Literal[
    "opened", "reopened", "flapping", "raised", "lowered", "updated",
    "acknowledged", "unacknowledged", "muted", "unmuted", "escalated", "repeated", "resolved",
]  # fmt: skip
"""Why an alert was announced.

`reopened`: it was resolved a moment ago; `flapping`: that happened so often that it stays open for now;
`raised` and `lowered` are changes of severity, `updated` one of the value; `unacknowledged`: an
acknowledgement's time ran out; `muted` and `unmuted`: a silence, a maintenance window or another alert keeps
its notices back, or no longer; `escalated`: nobody acknowledged it, and the next step of a policy is
taken; `repeated`: it is told again, because it is still so.
"""
NOTIFIED: frozenset[Change] = frozenset((
    "opened", "reopened", "flapping", "raised", "unacknowledged", "unmuted", "escalated", "repeated",
    "resolved",
))  # fmt: skip
"""The changes that people are told about."""

SEVERITIES: tuple[Severity, ...] = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
"""From least to worst."""


class Details(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """What the rule saw."""

    rule: str
    bot: str | None = None
    host: str | None = None
    metric: str
    measure: str = ""
    """What `value` is, in words: `Total P&L as a share of Portfolio value`; by default the figure itself."""
    unit: str = ""
    """Of `value` and `threshold`, by its name in `shared/schema/units.py`; by default the figure's own."""
    value: float
    value_text: str = ""
    """`value` as people read it, with its unit: `-9.08%`; made of `value`, whatever is given."""
    operator: str
    threshold: float
    limit_text: str = ""
    """`threshold` as people read it; empty where the value says all."""
    labels: dict[str, str] = {}
    links: dict[str, str] = {}
    """`alert`: its place on the page; `acknowledge`: where to POST; `runbook`: what to do."""
    runbook: str | None = None
    """A page of docs/runbooks by its name, or a URL."""
    flaps: int = 0
    """How often it opened again."""
    muted_by: str | None = None
    """Why notices are kept back, if they are."""
    silence: str | None = None
    """The id of the silence that does."""
    raised_to: Severity | None = None
    """What an escalation raised the severity to, at least, until it ends."""
    origin: str | None = None
    """Which part of Botwatch raised it; None: a rule."""

    def __post_init__(self) -> None:
        # Also of what was stored before there were these fields; and after every change of the value.
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
    """Identifies what it is about (rule, bot or host, labels): one open alert each."""
    updated_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_until: datetime | None = None
    """When it is active again unless it ends before."""
    comment: str | None = None


class AlertMessage(msgspec.Struct, kw_only=True, rename="camel", tag_field="type", tag="alert"):
    """An alert on the stream `botwatch:alerts`. From: evaluator, dashboard. To: broadcaster."""

    change: Change
    alert: Alert


class Notice(Alert, kw_only=True, rename="camel"):
    """The body of a notification: the alert as it was when it changed, and how it changed."""

    change: Change


class Acknowledgement(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/monitoring/alerts/{id}/acknowledge`."""

    by: str
    comment: str | None = None
    timeout: Duration | None = None
    """After which the alert is active again."""


def is_more_severe(one: Severity, than: Severity) -> bool:
    """Say whether `one` is the graver severity."""
    return SEVERITIES.index(one) > SEVERITIES.index(than)


def most_severe(one: Severity, other: Severity | None) -> Severity:
    """Return the graver of two severities."""
    return other if other is not None and is_more_severe(other, one) else one


def next_severity(severity: Severity) -> Severity:
    """Return the next graver severity; CRITICAL stays."""
    return SEVERITIES[min(SEVERITIES.index(severity) + 1, len(SEVERITIES) - 1)]


def alert_links(alert: Alert, dashboard_url: str) -> dict[str, str]:
    """Return where people see an alert, acknowledge it, and read what to do."""
    links = {
        "alert": f"{dashboard_url}/#{alert.id}",
        "acknowledge": f"{dashboard_url}/api/monitoring/alerts/{alert.id}/acknowledge",
    }
    if runbook := alert.details.runbook:
        links["runbook"] = runbook if "://" in runbook else f"{dashboard_url}/runbooks/{runbook}"
    return links


def build_notice(alert: Alert, change: Change) -> Notice:
    """Return what people are told of an alert as it is now."""
    return Notice(**msgspec.structs.asdict(alert), change=change)


def encode_json(message: object) -> bytes:
    """Return the JSON of an alert, notice or message."""
    return msgspec.json.encode(message)
