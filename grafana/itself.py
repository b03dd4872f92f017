"""How Botwatch itself does: its parts, the doors, the log, the notices."""

from grafana.panels import GrafanaDashboard, Panel, PanelQuery, Row

LATENCY = "botwatch_notification_latency_seconds_bucket"


def latency(quantile: float) -> PanelQuery:
    """Ask for a quantile of the time from an alert's change to its receiver."""
    return PanelQuery(
        f"histogram_quantile({quantile}, sum by (channel, le) (rate({LATENCY}[5m])))",
        f"{{{{channel}}}} p{quantile * 100:.0f}",
    )


PARTS = Row(
    "Parts",
    (
        Panel(
            "Up",
            [PanelQuery("up", "{{job}}")],
            kind="stat",
            about="What Prometheus reaches.",
            steps=((None, "red"), (1, "green")),
            names={"0": "away", "1": "up"},
        ),
        Panel(
            "Alerts on Botwatch itself",
            [PanelQuery('sum by (alertname) (ALERTS{alertstate="firing"}) or vector(0)', "{{alertname}}")],
            kind="stat",
            about="Prometheus's own rules, prometheus/rules/alerts.yml.",
            steps=((None, "green"), (1, "red")),
        ),
    ),
    height=6,
)

DOORS = Row(
    "Doors",
    (
        Panel(
            "Records accepted",
            [PanelQuery("kind_door:botwatch_records_accepted:rate1m", "{{kind}} by {{door}}")],
            "cps",
            stacked=True,
        ),
        Panel(
            "Records rejected",
            [PanelQuery("door:botwatch_records_rejected:rate1m", "{{door}}")],
            "cps",
            about="The stream botwatch:rejected has what was refused, and why.",
        ),
        Panel(
            "HTTP answers",
            [
                PanelQuery(
                    "sum by (part, status) (rate(botwatch_http_requests_total[1m]))", "{{part}} {{status}}"
                )
            ],
            "reqps",
        ),
    ),
)

LOG = Row(
    "The log",
    (
        Panel(
            "Lag",
            [PanelQuery("max by (group) (botwatch_log_group_lag)", "{{group}}")],
            about="Entries that a reader has not been given yet.",
        ),
        Panel(
            "Pending",
            [PanelQuery("max by (group) (botwatch_log_group_pending)", "{{group}}")],
            about="Entries that a reader was given and has not acknowledged.",
        ),
        Panel(
            "Entries",
            [PanelQuery("max(botwatch_log_entries)", "entries")],
            about="Trimmed behind the slowest reader; the doors refuse at a million.",
        ),
    ),
)

WORK = Row(
    "Work",
    (
        Panel("Rows written", [PanelQuery("rate(botwatch_recorder_rows_total[1m])", "recorder")], "cps"),
        Panel(
            "Records judged", [PanelQuery("rate(botwatch_evaluator_records_total[1m])", "evaluator")], "cps"
        ),
        Panel(
            "Changes of alerts",
            [PanelQuery("sum by (change) (increase(botwatch_evaluator_changes_total[5m]))", "{{change}}")],
            about="In five minutes.",
        ),
        Panel(
            "Samples of hosts", [PanelQuery("rate(botwatch_collector_samples_total[1m])", "{{job}}")], "cps"
        ),
    ),
)

DELIVERY = Row(
    "Delivery",
    (
        Panel(
            "Notices",
            [PanelQuery("channel_outcome:botwatch_notifications:rate5m * 300", "{{channel}} {{outcome}}")],
            about="In five minutes.",
        ),
        Panel(
            "Time to the receiver",
            [latency(0.5), latency(0.99)],
            "s",
            about="From the change of the alert until the receiver took the notice.",
        ),
        Panel("WebSocket clients", [PanelQuery("botwatch_websocket_clients", "clients")]),
        Panel(
            "WebSocket messages",
            [
                PanelQuery("rate(botwatch_websocket_messages_total[1m])", "sent"),
                PanelQuery("rate(botwatch_websocket_dropped_total[1m])", "slow clients dropped"),
            ],
            "cps",
        ),
    ),
)

DASHBOARD = GrafanaDashboard("botwatch", "Botwatch", (PARTS, DOORS, LOG, WORK, DELIVERY))
