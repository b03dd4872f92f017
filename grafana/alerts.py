"""Alerts and notifications: what is open, how quickly people answer, which rules are noisy, what was sent."""

from grafana_foundation_sdk.builders import stat

from grafana.builders import (
    COUNT,
    NUMBER,
    SECONDS,
    Board,
    Column,
    Look,
    Query,
    Row,
    alert_annotation,
    latest_table,
    single_stat,
    time_series,
)
from grafana.limits import COLOURS, PLAIN, Limits, prometheus_limits
from shared.schema.alerts import SEVERITIES
from shared.schema.watchdog import LOOPBACK_CHANNEL

RECEIVERS = f'channel!="{LOOPBACK_CHANNEL}"'
"""Not the channel on which the watchdog receives its own beat."""
NO_CHANNEL = "Nothing was sent: no channel is configured (docs/notices.md), or no alert has been sent yet."
NO_ALERT = "No open alert."
BY_SEVERITY = [
    Query(f'max(botwatch_alerts_open{{severity="{severity}"}})', severity.capitalize())
    for severity in SEVERITIES[::-1]
]
"""From the most severe on."""
SEVERITY_COLOURS = {severity.capitalize(): colour for severity, colour in COLOURS.items()}
MEDIAN, NEARLY_ALL = 0.5, 0.95


def sent(outcome: str = ".*") -> str:
    """Return the series of notifications with an outcome (a regex)."""
    return f'botwatch_notifications_total{{{RECEIVERS}, outcome=~"{outcome}"}}'


def time_to(what: str, quantile: float, by: str = "severity") -> Query:
    """Return a query for a quantile of the time from opening to acknowledgement or resolution."""
    buckets = f"sum by ({by}, le) (rate(botwatch_alert_{what}_seconds_bucket[$__range]))"
    return Query(f"histogram_quantile({quantile}, {buckets})", f"{{{{{by}}}}} p{quantile * 100:.0f}")


def overall(what: str) -> Query:
    """Return a query for the median over all severities."""
    buckets = f"sum by (le) (rate(botwatch_alert_{what}_seconds_bucket[$__range]))"
    return Query(f"histogram_quantile({MEDIAN}, {buckets})", "")


def changes(change: str) -> str:
    """Return a query for the changes of alerts by rule in the time range of the dashboard.

    A counter begins with its first change, which `increase` does not see. A rule without such a change has 0.
    """
    series = f'botwatch_alert_changes_total{{change="{change}"}}'
    increase = f"sum by (rule) (increase({series}[$__range]))"
    first = f"sum by (rule) (({series} unless {series} offset $__range) ^ 0)"
    return f"{increase} + {first} or {increase} or sum by (rule) (botwatch_alert_changes_total) * 0"


def open_alerts(width: int) -> stat.Panel:
    """Return the number of open alerts, in the colours of their severities."""
    about = "Alerts on all bots, hosts and checks that are not resolved, by severity."
    look = Look(width=width, height=4, decimals=0)
    return single_stat("Open alerts", about, BY_SEVERITY, look, SEVERITY_COLOURS)


NOW = Row(
    "Open alerts",
    (
        open_alerts(8),
        single_stat(
            "Time to acknowledge",
            "Median over the time range of the dashboard.",
            [overall("acknowledge")],
            Look(SECONDS, empty="Nobody has acknowledged an alert in this time range.", width=4, height=4),
        ),
        single_stat(
            "Time to resolve",
            "Median over the time range of the dashboard.",
            [overall("resolve")],
            Look(SECONDS, empty="No alert was resolved in this time range.", width=4, height=4),
        ),
        single_stat(
            "Notifications waiting",
            "Not yet delivered, all channels.",
            [Query(f"sum(botwatch_notifications_pending{{{RECEIVERS}}}) or vector(0)", "")],
            Look(width=4, height=4, decimals=0),
        ),
        single_stat(
            "Notifications failed",
            "For good, in the time range of the dashboard.",
            [
                Query(
                    f"sum(increase({sent('failed')}[$__range])) or vector(0)",
                    "",
                )
            ],
            Look(limits=prometheus_limits("BotwatchNotificationsFail"), width=4, height=4, decimals=0),
        ),
        latest_table(
            "Open alerts",
            "The most severe and newest 1,000. Acknowledge and silence them on the page.",
            {"severity": "Severity", "rule": "Rule", "bot": "Bot", "host": "Host"},
            (Column("Open", "max by (severity, rule, bot, host) (botwatch_alert_firing)", NUMBER),),
            Look(width=12, height=9, empty=NO_ALERT, names={1: "open"}),
            ("Alerts on the page", "${botwatch_url}/alerts"),
        ),
        time_series(
            "Open alerts over time",
            "By severity.",
            BY_SEVERITY,
            Look(width=12, height=9, decimals=0),
            stacked=True,
            colours=SEVERITY_COLOURS,
        ),
    ),
    collapsed=False,
)

RESPONSE = Row(
    "How quickly people answer",
    (
        time_series(
            "Time to acknowledge",
            "From opening to acknowledgement, of the alerts that were acknowledged.",
            [time_to("acknowledge", MEDIAN), time_to("acknowledge", NEARLY_ALL)],
            Look(SECONDS, empty="Nobody has acknowledged an alert in this time range.", width=12),
            dashed="/p95/",
        ),
        time_series(
            "Time to resolve",
            "From opening to resolution.",
            [time_to("resolve", MEDIAN), time_to("resolve", NEARLY_ALL)],
            Look(SECONDS, empty="No alert was resolved in this time range.", width=12),
            dashed="/p95/",
        ),
    ),
)

NOISE = Row(
    "Noise by rule",
    (
        latest_table(
            "Changes by rule",
            "In the time range of the dashboard. A rule that opens and resolves often wants a `for`, a clear"
            " threshold or another limit; on the page, a trial shows how often it would have fired.",
            {"rule": "Rule"},
            (
                Column("Opened", changes("opened"), COUNT, decimals=0),
                Column("Resolved", changes("resolved"), COUNT, decimals=0),
                Column("Escalated", changes("escalated"), COUNT, decimals=0),
            ),
            Look(width=12, empty="No alert has changed in this time range."),
            ("Rule on the page", "${botwatch_url}/rules/${__data.fields.Rule}"),
        ),
        time_series(
            "Alert changes",
            "Opened, raised, lowered, acknowledged, resolved; per 5 minutes.",
            [Query("sum by (change) (increase(botwatch_alert_changes_total[5m]))", "{{change}}")],
            Look(width=12, empty="No alert has changed in this time range."),
            stacked=True,
        ),
    ),
    collapsed=False,
)

LATENCY = "botwatch_notification_latency_seconds_bucket"


def latency(quantile: float) -> Query:
    """Return a query for a quantile of the time until a receiver has accepted a notification."""
    buckets = f"sum by (channel, le) (rate({LATENCY}{{{RECEIVERS}}}[5m]))"
    return Query(f"histogram_quantile({quantile}, {buckets})", f"{{{{channel}}}} p{quantile * 100:.0f}")


DELIVERIES = Row(
    "Deliveries",
    (
        time_series(
            "Notifications",
            "Per 5 minutes, by channel and outcome, without the watchdog's own beat.",
            [
                Query(
                    f"sum by (channel, outcome) (increase(botwatch_notifications_total{{{RECEIVERS}}}[5m]))",
                    "{{channel}} {{outcome}}",
                )
            ],
            Look(COUNT, empty=NO_CHANNEL, width=12),
        ),
        time_series(
            "Delivery latency",
            "From when a notification was due until the receiver accepted it.",
            [latency(MEDIAN), latency(0.99)],
            Look(SECONDS, empty=NO_CHANNEL, width=12),
            dashed="/p99/",
        ),
        time_series(
            "Not sent, by reason",
            "Suppressed, retried and failed notifications in 5 minutes, and why.",
            [
                Query(
                    "sum by (channel, outcome, reason)"
                    f" (increase({sent('failed|retry|suppressed')}[5m])) > 0",
                    "{{channel}} {{outcome}} {{reason}}",
                )
            ],
            Look(COUNT, empty="Everything was sent.", width=12),
        ),
        time_series(
            "Waiting",
            "Notifications that are not yet delivered.",
            [Query(f"max by (channel) (botwatch_notifications_pending{{{RECEIVERS}}})", "{{channel}}")],
            Look(COUNT, PLAIN, "Nothing waits.", 0, width=12),
        ),
    ),
)

OTHERS = Row(
    "Alerts from Prometheus, and alerts without a series",
    (
        time_series(
            "External alerts received",
            "Posted to Botwatch's Alertmanager API in 5 minutes; while one fires it is posted every minute.",
            [
                Query(
                    "sum by (status) (increase(botwatch_external_alerts_received_total[5m]))",
                    "{{status}}",
                )
            ],
            Look(COUNT, empty="Nobody posts alerts: docs/alertmanager.md says how.", width=12),
        ),
        single_stat(
            "Open alerts without a series",
            "The table has the 1,000 most severe and newest ones; these are the rest.",
            [Query("botwatch_alert_firing_dropped", "")],
            Look(limits=Limits(((None, "green"), (1, "yellow"))), width=12, height=8, decimals=0),
        ),
    ),
)

BOARD = Board(
    "alerts",
    "Alerts and notifications",
    "What is open, how quickly people answer, which rules are noisy, and whether notifications arrive.",
    (NOW, NOISE, RESPONSE, DELIVERIES, OTHERS),
    page="/alerts",
    annotations=(alert_annotation(""),),
    links=(("Silences in Grafana", "/alerting/silences?alertmanager=Botwatch%20Alertmanager"),),
    since="now-24h",
)
