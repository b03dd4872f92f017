"""The Botwatch dashboard: its parts, ingestion, the log, notifications."""

from grafana.panels import GrafanaDashboard, Panel, PanelQuery, Row

LATENCY = "botwatch_notification_latency_seconds_bucket"


def latency(quantile: float) -> PanelQuery:
    """Return a query for a quantile of the time from an alert's change to its receiver."""
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
            about="Whether Prometheus can scrape the part.",
            steps=((None, "red"), (1, "green")),
            names={"0": "down", "1": "up"},
        ),
        Panel(
            "Alerts about Botwatch",
            [PanelQuery('sum by (alertname) (ALERTS{alertstate="firing"}) or vector(0)', "{{alertname}}")],
            kind="stat",
            about="From the Prometheus rules in prometheus/rules/alerts.yml.",
            steps=((None, "green"), (1, "red")),
        ),
    ),
    height=6,
)

INGESTION = Row(
    "Ingestion",
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
            about="The stream botwatch:rejected has the records and the reasons.",
        ),
        Panel(
            "HTTP responses",
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
    "Log",
    (
        Panel(
            "Lag",
            [PanelQuery("max by (group) (botwatch_log_group_lag)", "{{group}}")],
            about="Entries not yet read by the group.",
        ),
        Panel(
            "Pending",
            [PanelQuery("max by (group) (botwatch_log_group_pending)", "{{group}}")],
            about="Entries read and not yet acknowledged.",
        ),
        Panel(
            "Entries",
            [PanelQuery("max(botwatch_log_entries)", "entries")],
            about="Trimmed behind the slowest group; ingestion returns 503 at 1,000,000.",
        ),
    ),
)

PROCESSING = Row(
    "Processing",
    (
        Panel("Rows written", [PanelQuery("rate(botwatch_recorder_rows_total[1m])", "recorder")], "cps"),
        Panel(
            "Records evaluated",
            [PanelQuery("rate(botwatch_evaluator_records_total[1m])", "evaluator")],
            "cps",
        ),
        Panel(
            "Alert changes",
            [PanelQuery("sum by (change) (increase(botwatch_evaluator_changes_total[5m]))", "{{change}}")],
            about="Over 5 minutes.",
        ),
        Panel("Host samples", [PanelQuery("rate(botwatch_collector_samples_total[1m])", "{{job}}")], "cps"),
    ),
)

JOBS = Row(
    "Jobs",
    (
        Panel(
            "Time since the last success",
            [PanelQuery("time() - botwatch_job_last_success_timestamp_seconds", "{{job_name}}")],
            "s",
            about="Background jobs such as retention; /api/monitoring has each job's last error.",
        ),
        Panel(
            "Duration of the last run",
            [PanelQuery("botwatch_job_last_duration_seconds", "{{job_name}}")],
            "s",
        ),
        Panel(
            "Failed runs",
            [PanelQuery("increase(botwatch_job_failures_total[1h])", "{{job_name}}")],
            about="Over 1 hour; a failed job is tried again three times.",
        ),
    ),
)

DELIVERY = Row(
    "Delivery",
    (
        Panel(
            "Notifications",
            [PanelQuery("channel_outcome:botwatch_notifications:rate5m * 300", "{{channel}} {{outcome}}")],
            about="Over 5 minutes.",
        ),
        Panel(
            "Delivery latency",
            [latency(0.5), latency(0.99)],
            "s",
            about="From the change of the alert until the receiver accepted the notification.",
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

DASHBOARD = GrafanaDashboard("botwatch", "Botwatch", (PARTS, INGESTION, LOG, PROCESSING, JOBS, DELIVERY))
