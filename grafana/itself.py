"""Botwatch itself: whether its parts run and keep up, how long a record takes, and how much is stored."""

from grafana.builders import (
    BYTES,
    COUNT,
    NUMBER,
    PER_SECOND,
    RATIO,
    SECONDS,
    Board,
    Column,
    Look,
    Query,
    Row,
    alert_annotation,
    latest_table,
    single_stat,
    state_timeline,
    time_series,
)
from grafana.limits import ANY_IS_BAD, PLAIN, ZERO_IS_BAD, Limits, prometheus_limits

APP = 'app="botwatch"'
DOWN_OR_UP = {0: "down", 1: "up"}
DISK_LEVELS = {0: "ok", 1: "low", 2: "very low", 3: "full"}
DISK_LIMITS = Limits(((None, "green"), (1, "yellow"), (2, "orange"), (3, "red")))


def step(percentile: int) -> Query:
    """Return a query for a percentile of the time to each step of a record's way."""
    return Query(f"step:botwatch_step_seconds:p{percentile}_rate5m", f"{{{{step}}}} p{percentile}")


def requests(quantile: float) -> Query:
    """Return a query for a quantile of the duration of HTTP requests."""
    buckets = "sum by (part, le) (rate(botwatch_http_request_duration_seconds_bucket[5m]))"
    return Query(f"histogram_quantile({quantile}, {buckets})", f"{{{{part}}}} p{quantile * 100:.0f}")


NOW = Row(
    "Now",
    (
        single_stat(
            "Parts",
            "Whether Prometheus reaches the part.",
            [Query(f"max by (part) (up{{{APP}}})", "{{part}}")],
            Look(
                NUMBER,
                ZERO_IS_BAD._replace(rule="BotwatchPartDown", runbook="botwatch-part-down"),
                "No target: add Botwatch to Prometheus (docs/operations.md).",
                0,
                12,
                6,
                DOWN_OR_UP,
            ),
        ),
        single_stat(
            "The watchdog's verdict",
            "Parts as the watchdog sees them: its beat passes through each.",
            [Query("min by (part) (botwatch_watchdog_part_up)", "{{part}}")],
            Look(NUMBER, ZERO_IS_BAD, decimals=0, width=12, height=6, names=DOWN_OR_UP),
        ),
        single_stat(
            "Problems",
            "That the watchdog has found and not seen ended.",
            [Query("max(botwatch_watchdog_problems)", "")],
            Look(limits=ANY_IS_BAD, decimals=0, width=4, height=4),
        ),
        single_stat(
            "Time since the watchdog's beat",
            "The beat is sent every 5 seconds and passes through log, evaluator and notifier.",
            [Query("time() - max(botwatch_watchdog_heard_timestamp_seconds)", "")],
            Look(SECONDS, prometheus_limits("BotwatchWatchdogSilent"), width=4, height=4),
        ),
        single_stat(
            "Entries in the log",
            "Trimmed behind the slowest group; ingestion returns 503 at 1,000,000.",
            [Query("max(botwatch_log_entries)", "")],
            Look(COUNT, prometheus_limits("BotwatchLogNearlyFull"), decimals=0, width=4, height=4),
        ),
        single_stat(
            "Age of the newest backup",
            "Of those that were verified.",
            [Query("time() - max(botwatch_backup_last_success_timestamp_seconds)", "")],
            Look(
                SECONDS,
                prometheus_limits("BotwatchBackupOverdue"),
                "No verified backup yet: botwatch backup makes one.",
                width=4,
                height=4,
            ),
        ),
        single_stat(
            "Disk",
            "Free space of the disk of the databases; from low on, what can wait pauses.",
            [Query("max(botwatch_disk_level)", "")],
            Look(
                NUMBER,
                DISK_LIMITS._replace(rule="botwatch-disk-low", runbook="botwatch-disk-low"),
                decimals=0,
                width=4,
                height=4,
                names=DISK_LEVELS,
            ),
        ),
        single_stat(
            "Prometheus alerts about Botwatch",
            "Rules of prometheus/rules that fire.",
            [Query('count(ALERTS{alertstate="firing", alertname=~"Botwatch.*"}) or vector(0)', "")],
            Look(limits=ANY_IS_BAD, decimals=0, width=4, height=4),
        ),
    ),
    collapsed=False,
)

LATENCY = Row(
    "Latency and lag",
    (
        time_series(
            "Latency by step",
            "From acceptance into the log to stored and to evaluated; from the alert's change to"
            " planned and to sent. Median and p99 of 5 minutes.",
            [step(50), step(99)],
            Look(SECONDS, prometheus_limits("BotwatchSlow"), width=12),
            dashed="/p99/",
        ),
        time_series(
            "Lag in seconds",
            "Age of the oldest entry of the log that the group has not finished.",
            [Query("max by (group) (botwatch_log_group_lag_seconds)", "{{group}}")],
            Look(SECONDS, prometheus_limits("BotwatchLogLate"), width=12),
        ),
        time_series(
            "Lag in entries",
            "Entries that the group has not read yet.",
            [Query("max by (group) (botwatch_log_group_lag)", "{{group}}")],
            Look(COUNT, prometheus_limits("BotwatchLogLag"), decimals=0),
        ),
        time_series(
            "Pending",
            "Entries that the group has read and not acked.",
            [Query("max by (group) (botwatch_log_group_pending)", "{{group}}")],
            Look(COUNT, decimals=0),
        ),
        time_series(
            "Entries in the log",
            "Trimmed behind the slowest group and behind what is on disk.",
            [Query("max(botwatch_log_entries)", "entries")],
            Look(COUNT, prometheus_limits("BotwatchLogNearlyFull"), decimals=0),
        ),
    ),
    collapsed=False,
)

FLOW = Row(
    "Ingestion and processing",
    (
        time_series(
            "Records accepted",
            "By kind and by the way in.",
            [Query("kind_door:botwatch_records_accepted:rate1m", "{{kind}} by {{door}}")],
            Look(PER_SECOND),
            stacked=True,
        ),
        time_series(
            "Records rejected",
            "The stream botwatch:rejected has the records and the reasons.",
            [Query("door:botwatch_records_rejected:rate1m", "{{door}}")],
            Look(PER_SECOND, PLAIN, "No record was rejected."),
        ),
        time_series(
            "Rows written",
            "By the recorder, by database.",
            [Query("sum by (database) (rate(botwatch_recorder_rows_total[1m]))", "{{database}}")],
            Look(PER_SECOND),
        ),
        time_series(
            "Records evaluated",
            "By the rules.",
            [Query("sum(rate(botwatch_evaluator_records_total[1m]))", "evaluator")],
            Look(PER_SECOND),
        ),
        time_series(
            "Time to write a batch",
            "The recorder's transactions, p99 of 5 minutes.",
            [
                Query(
                    "histogram_quantile(0.99, sum by (database, le)"
                    " (rate(botwatch_recorder_commit_seconds_bucket[5m])))",
                    "{{database}}",
                )
            ],
            Look(SECONDS),
        ),
        time_series(
            "Host samples",
            "Taken by the collectors.",
            [Query("sum by (instance) (rate(botwatch_collector_samples_total[1m]))", "{{instance}}")],
            Look(PER_SECOND),
        ),
        time_series(
            "Series left out of /metrics",
            "Because of the bounds on bots, metrics and labels.",
            [Query("max by (family) (botwatch_series_dropped)", "{{family}}")],
            Look(COUNT, prometheus_limits("BotwatchSeriesDropped"), "Nothing was left out.", 0, width=24),
        ),
    ),
)

WEB = Row(
    "Web and WebSocket",
    (
        time_series(
            "HTTP responses",
            "By part and status.",
            [Query("sum by (part, status) (rate(botwatch_http_requests_total[1m]))", "{{part}} {{status}}")],
            Look("reqps"),
        ),
        time_series("Duration of requests", "p99 of 5 minutes.", [requests(0.99)], Look(SECONDS)),
        time_series(
            "Share of 5xx",
            "Of all responses of a part, in 5 minutes.",
            [Query("part:botwatch_http_errors:ratio_rate5m", "{{part}}")],
            Look(RATIO, prometheus_limits("BotwatchHttpErrors"), "No response with 5xx."),
        ),
        time_series(
            "WebSocket clients",
            "That are connected now.",
            [Query("sum(botwatch_websocket_clients)", "clients")],
            Look(COUNT, decimals=0, width=12),
        ),
        time_series(
            "WebSocket messages",
            "Sent, and slow clients that were dropped.",
            [
                Query("sum(rate(botwatch_websocket_messages_total[1m]))", "sent"),
                Query("sum(rate(botwatch_websocket_dropped_total[1m]))", "slow clients dropped"),
            ],
            Look(PER_SECOND, width=12),
        ),
    ),
)

JOBS = Row(
    "Jobs",
    (
        latest_table(
            "Background jobs",
            "/system on the page has each job's last error. A job that fails stays due.",
            {"job_name": "Job"},
            (
                Column(
                    "Since success",
                    "time() - max by (job_name) (botwatch_job_last_success_timestamp_seconds)",
                    SECONDS,
                ),
                Column("Last run took", "max by (job_name) (botwatch_job_last_duration_seconds)", SECONDS),
                Column(
                    "Overdue by",
                    "clamp_min(time() - max by (job_name) (botwatch_job_next_due_timestamp_seconds), 0)",
                    SECONDS,
                    prometheus_limits("BotwatchJobFailing"),
                ),
                Column(
                    "Failed",
                    "sum by (job_name) (increase(botwatch_job_failures_total[$__range]))",
                    COUNT,
                    ANY_IS_BAD,
                    0,
                ),
            ),
            Look(width=14, height=11),
        ),
        time_series(
            "Queue",
            "Jobs that wait for the worker.",
            [Query("max by (queue) (botwatch_job_queue_length)", "{{queue}}")],
            Look(COUNT, decimals=0, width=10, height=11),
        ),
    ),
)

SIZES = Row(
    "Sizes",
    (
        time_series(
            "Databases",
            "With their write-ahead logs.",
            [Query("max by (database) (botwatch_database_size_bytes)", "{{database}}")],
            Look(BYTES),
        ),
        time_series(
            "Free space",
            "Of the disk of the databases.",
            [Query("min(botwatch_disk_free_bytes)", "free")],
            Look(BYTES),
        ),
        time_series(
            "Newest backup",
            "Of those that were verified.",
            [Query("max(botwatch_backup_size_bytes)", "size")],
            Look(BYTES, empty="No verified backup yet."),
        ),
        time_series(
            "Rows",
            "Of the largest tables; measured once a day.",
            [Query("topk(10, max by (database, table) (botwatch_table_rows))", "{{database}} {{table}}")],
            Look(COUNT, decimals=0),
        ),
        time_series(
            "Bots and hosts",
            "That count towards MAX_BOTS.",
            [Query("max(botwatch_bots)", "bots"), Query("max(botwatch_hosts)", "hosts")],
            Look(COUNT, decimals=0),
        ),
        time_series(
            "Spooled on collectors",
            "Records that wait on disk for ingestion.",
            [Query("sum by (instance) (botwatch_collector_spool_bytes)", "{{instance}}")],
            Look(BYTES),
        ),
    ),
)

PROCESSES = Row(
    "Processes of the parts",
    (
        time_series(
            "Memory",
            "Resident.",
            [Query(f"sum by (part) (process_resident_memory_bytes{{{APP}}})", "{{part}}")],
            Look(BYTES, width=12),
        ),
        time_series(
            "CPU",
            "Share of one core.",
            [Query(f"sum by (part) (rate(process_cpu_seconds_total{{{APP}}}[1m]))", "{{part}}")],
            Look(RATIO, width=12),
        ),
        time_series(
            "Size of a scrape",
            "Samples of each part.",
            [Query(f"sum by (part) (scrape_samples_scraped{{{APP}}})", "{{part}}")],
            Look(COUNT, decimals=0),
        ),
        time_series(
            "Duration of a scrape",
            "As Prometheus sees it.",
            [Query(f"max by (part) (scrape_duration_seconds{{{APP}}})", "{{part}}")],
            Look(SECONDS),
        ),
        state_timeline(
            "Up",
            "Whether Prometheus reached the part.",
            [Query(f"max by (part) (up{{{APP}}})", "{{part}}")],
            Look(NUMBER, ZERO_IS_BAD, decimals=0, names=DOWN_OR_UP),
        ),
        latest_table(
            "Versions",
            "Of the running code.",
            {"part": "Part", "version": "Version"},
            (Column("Processes", "count by (part, version) (botwatch_build_info)", COUNT),),
            Look(width=24, height=8),
        ),
    ),
)

BOARD = Board(
    "itself",
    "Botwatch itself",
    "Whether Botwatch's parts run and keep up, how long a record's way takes, and how much is stored.",
    (NOW, LATENCY, FLOW, WEB, JOBS, SIZES, PROCESSES),
    page="/system",
    annotations=(alert_annotation('bot="", host=""'),),
)
