"""Connectivity and checks: what the checks see of exchanges, services, certificates and logins."""

from grafana_foundation_sdk.builders import timeseries

from grafana.bots import age
from grafana.builders import (
    BYTES,
    COUNT,
    NUMBER,
    RATIO,
    SECONDS,
    Board,
    Column,
    Look,
    Query,
    Row,
    alert_annotation,
    label_variable,
    latest_table,
    single_stat,
    state_timeline,
    time_series,
)
from grafana.limits import GREEN, PLAIN, Limits, rule_limits

SELECTED = 'host=~"$host", type=~"$type"'
NO_CHECK = "No check yet: add one to `checks` in health_monitor.json (docs/health.md)."
STATES = {0: "ok", 1: "warning", 2: "critical"}
STATE_LIMITS = Limits(rule_limits("http-failing").steps)
"""The same for every kind of check: each has a rule and a runbook of its own."""


def check(name: str, called: str = "") -> Query:
    """Return a query for a metric of the selected checks."""
    return Query(f"botwatch_check_{name}{{{SELECTED}}}", f"{{{{host}}}} {{{{check}}}} {called}".rstrip())


def graph(
    title: str, about: str, *queries: Query, unit: str, kind: str, limits: Limits = PLAIN, dashed: str = "",
    width: int = 8,
) -> timeseries.Panel:  # fmt: skip
    """Return a graph of metrics of the selected checks; `kind` names the checks that have them."""
    empty = f"No data: only checks of {kind} have this (docs/health.md)."
    return time_series(title, about, queries, Look(unit, limits, empty, width=width), dashed=dashed)


def counted(title: str, state: int, colour: str) -> tuple[str, str, list[Query], Look]:
    """Return the arguments of a panel that counts the checks in a state."""
    expr = f"count(botwatch_check_state{{{SELECTED}}} == {state}) or vector(0)"
    limits = Limits(((None, GREEN), (1, colour)))
    return (
        title,
        f"Checks of this selection that are {STATES[state]}.",
        [Query(expr, "")],
        Look(limits=limits, decimals=0, width=4, height=4),
    )


NOW = Row(
    "Now",
    (
        single_stat(*counted("Critical", 2, "red")),
        single_stat(*counted("Warning", 1, "yellow")),
        single_stat(*counted("Ok", 0, GREEN)),
        latest_table(
            "Checks that fail",
            "Checks of this selection that are not ok; the page has the reason and the history of each.",
            {"host": "Host", "check": "Check", "type": "Type"},
            (
                Column(
                    "State",
                    f"max by (host, check, type) (botwatch_check_state{{{SELECTED}}} > 0)",
                    NUMBER,
                    STATE_LIMITS,
                ),
            ),
            Look(width=12, height=8, names=STATES, empty="Every check is ok."),
            ("On the page", "${botwatch_url}/checks"),
        ),
        state_timeline(
            "Status",
            "Status of each check over time; gaps are unknown.",
            [check("state")],
            Look(NUMBER, STATE_LIMITS, NO_CHECK, 0, width=24, height=8, names=STATES),
        ),
    ),
    collapsed=False,
)

LATENCY = Row(
    "Latency and availability",
    (
        graph(
            "Latency",
            "Half of the last 100 runs, and 95% of them, took at most this long.",
            check("latency_p50_seconds", "p50"),
            check("latency_p95_seconds", "p95"),
            unit=SECONDS,
            kind="services on a network",
            dashed="/p95/",
            width=12,
        ),
        graph(
            "Availability",
            "Share of the last 100 runs that were not critical.",
            check("availability_ratio"),
            unit=RATIO,
            kind="any kind that has run",
            width=12,
        ),
    ),
    collapsed=False,
)

PHASES = Row(
    "Where the time goes",
    (
        graph(
            "Last run",
            "The whole of the last run.",
            check("latency_seconds"),
            unit=SECONDS,
            kind="services on a network",
        ),
        graph(
            "Latency p99",
            "Of the last 100 runs.",
            check("latency_p99_seconds"),
            unit=SECONDS,
            kind="services on a network",
        ),
        graph("Name lookup", "DNS.", check("dns_seconds"), unit=SECONDS, kind="services with a host name"),
        graph("Connecting", "TCP.", check("connect_seconds"), unit=SECONDS, kind="services on a network"),
        graph("TLS", "The handshake.", check("tls_seconds"), unit=SECONDS, kind="services with TLS"),
        graph(
            "WebSocket",
            "The upgrade and the first answer.",
            check("web_socket_seconds"),
            unit=SECONDS,
            kind="exchanges with a WebSocket",
        ),
    ),
)

EXCHANGES = Row(
    "Exchanges and certificates",
    (
        graph(
            "Exchange clock skew",
            "Positive: the exchange is ahead of this host.",
            check("clock_skew_seconds"),
            unit=SECONDS,
            kind="exchanges",
        ),
        graph("HTTP status", "Of the last answer.", check("status_code"), unit=NUMBER, kind="HTTP"),
        graph(
            "Certificate validity",
            "Time until the certificate expires.",
            check("certificate_seconds"),
            unit=SECONDS,
            kind="services with TLS",
            limits=rule_limits("certificate-expiring"),
        ),
    ),
)

BOTS = Row(
    "Signs of life of bots",
    (
        time_series(
            "Time since the last heartbeat",
            "Per bot, on all hosts.",
            [Query(age("heartbeat").replace('bot=~"$bot", ', ""))],
            Look(
                SECONDS, rule_limits("heartbeat-missing"), "No bot sends heartbeats (docs/bots.md).", width=12
            ),
        ),
        time_series(
            "Time since the last record",
            "Of any kind that a bot sent itself, on all hosts.",
            [Query(age().replace('bot=~"$bot", ', ""))],
            Look(
                SECONDS, rule_limits("bot-silent"), "No bot yet: docs/bots.md says how one reports.", width=12
            ),
        ),
        graph(
            "Heartbeats of jobs: late by",
            "After the expected time.",
            check("late_seconds"),
            unit=SECONDS,
            kind="heartbeats",
            width=12,
        ),
        graph(
            "Heartbeats of jobs: run time",
            "From start to end of the last run.",
            check("run_seconds"),
            unit=SECONDS,
            kind="heartbeats with a start",
            width=12,
        ),
    ),
)

PROCESSES = Row(
    "Processes, services and databases",
    (
        graph("Instances", "Processes that match.", check("instances"), unit=COUNT, kind="processes"),
        graph(
            "Restarts",
            "Since the collector has watched it.",
            check("restarts"),
            unit=COUNT,
            kind="units and containers",
        ),
        graph(
            "CPU",
            "Share of one core, of all instances.",
            check("process_cpu_usage_ratio"),
            unit=RATIO,
            kind="processes",
        ),
        graph(
            "Memory",
            "Resident, of all instances.",
            check("process_memory_bytes"),
            unit=BYTES,
            kind="processes",
        ),
        graph(
            "Threads and open files",
            "Of all instances.",
            check("process_threads", "threads"),
            check("process_open_files", "files"),
            unit=COUNT,
            kind="processes",
        ),
        graph(
            "Uptime",
            "Of the youngest instance.",
            check("process_uptime_seconds"),
            unit=SECONDS,
            kind="processes",
        ),
        graph(
            "Database size",
            "The file, and its write-ahead log.",
            check("size_bytes"),
            check("wal_bytes", "WAL"),
            unit=BYTES,
            kind="SQLite databases",
            width=24,
        ),
    ),
)

SECURITY = Row(
    "Security",
    (
        graph(
            "Failed logins per minute",
            "Of the last run.",
            check("per_minute"),
            unit=NUMBER,
            kind="failed logins",
            width=12,
        ),
        graph(
            "Occurrences",
            "Findings of the last run: failed logins, sudo, changed files.",
            check("occurrences"),
            unit=COUNT,
            kind="security",
            width=12,
        ),
    ),
)

BOARD = Board(
    "checks",
    "Connectivity and checks",
    "What the checks see: exchanges, services, processes, certificates, logins, and the bots' signs of life.",
    (NOW, LATENCY, PHASES, EXCHANGES, BOTS, PROCESSES, SECURITY),
    page="/checks",
    variables=(
        label_variable(
            "host", "Host", "label_values(botwatch_check_state, host)", "Hosts on which checks run."
        ),
        label_variable(
            "type", "Type", 'label_values(botwatch_check_state{host=~"$host"}, type)', "Kinds of checks."
        ),
    ),
    annotations=(alert_annotation('host=~"$host", host!=""'),),
)
