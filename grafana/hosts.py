"""The Hosts dashboard: resources of the hosts, and the checks that run on them."""

from grafana.panels import GrafanaDashboard, Panel, PanelQuery, Row, Steps, Variable

DAY_S = 86_400
RESOURCES = (("cpu", "CPU"), ("memory", "memory"), ("io", "I/O"))


def usage(title: str, name: str, steps: Steps, about: str = "") -> Panel:
    """Return a panel of a resource's usage, with the thresholds of health_monitor.json."""
    return Panel(title, [host(f"{name}_usage_ratio")], "percentunit", about, steps=steps)


def host(name: str, called: str = "") -> PanelQuery:
    """Return a query for a metric of the selected hosts."""
    return PanelQuery(f'botwatch_host_{name}{{host=~"$host"}}', f"{{{{host}}}} {called}".rstrip())


def check_panel(name: str, called: str = "") -> PanelQuery:
    """Return a query for a metric of the checks of the selected hosts."""
    return PanelQuery(
        f'botwatch_check_{name}{{host=~"$host"}}', f"{{{{host}}}} {{{{check}}}} {called}".rstrip()
    )


CHECKS = Row(
    "Checks",
    (
        Panel(
            "Status",
            [check_panel("state")],
            kind="state-timeline",
            about="Status of each check; gaps are unknown.",
            steps=((None, "green"), (1, "yellow"), (2, "red")),
            names={"0": "ok", "1": "warning", "2": "critical"},
        ),
        Panel(
            "Latency",
            [check_panel("latency_p50_seconds", "p50"), check_panel("latency_p95_seconds", "p95")],
            "s",
            "Of the last 100 runs.",
            dashed=".*p95",
        ),
        Panel("Availability", [check_panel("availability_ratio")], "percentunit", "Of the last 100 runs."),
        Panel(
            "Certificate validity",
            [check_panel("certificate_seconds")],
            "s",
            "Time until expiry.",
            steps=((None, "red"), (7 * DAY_S, "yellow"), (21 * DAY_S, "green")),
        ),
        Panel(
            "Exchange clock skew", [check_panel("clock_skew_seconds")], "s", "Positive: ahead of this host."
        ),
        Panel("Failed logins per minute", [check_panel("per_minute")]),
    ),
    across=3,
)

USAGE = Row(
    "Usage",
    (
        usage("CPU", "cpu", ((None, "green"), (0.7, "yellow"), (0.9, "red")), "All cores."),
        usage("Memory", "memory", ((None, "green"), (0.8, "yellow"), (0.95, "red"))),
        usage("Disk", "disk", ((None, "green"), (0.85, "yellow"), (0.95, "red")), "The fullest file system."),
    ),
)

LOAD = Row(
    "Load",
    (
        Panel(
            "Load",
            [host(f"load_{minutes}", f"{minutes} min") for minutes in (1, 5, 15)]
            + [host("cpu_cores", "cores")],
            about="Running and waiting processes; above the number of cores, some are waiting.",
        ),
        Panel("Processes", [host("processes")]),
        Panel("Uptime", [host("uptime_seconds")], "s"),
    ),
)

TRAFFIC = Row(
    "Memory and network",
    (
        Panel(
            "Memory",
            [host("memory_available_bytes", "available"), host("memory_total_bytes", "total")],
            "bytes",
        ),
        Panel("Swap", [host("swap_usage_ratio")], "percentunit"),
        Panel(
            "Network",
            [
                host("network_received_bytes_per_second", "received"),
                host("network_sent_bytes_per_second", "sent"),
            ],
            "Bps",
        ),
        Panel("Network latency", [host("network_latency_seconds")], "s"),
    ),
)

STALLS = Row(
    "Pressure",
    (
        Panel(
            "Stall (PSI)",
            [host(f"{name}_pressure_ratio", called) for name, called in RESOURCES],
            "percentunit",
            "Share of time in which tasks waited for the resource.",
        ),
        Panel(
            "CPU steal, I/O wait and throttling",
            [
                host("cpu_steal_ratio", "steal"),
                host("cpu_iowait_ratio", "iowait"),
                host("cgroup_throttled_ratio", "throttled"),
            ],
            "percentunit",
        ),
        Panel("OOM kills", [host("oom_kills")], about="Since the previous sample."),
        Panel("Temperature", [host("temperature_celsius")], "celsius", "The hottest sensor."),
    ),
)

DISKS = Row(
    "Disks, clock and limits",
    (
        Panel(
            "Disk full in",
            [host("disk_full_seconds")],
            "s",
            "At the current rate; empty if no disk is filling.",
            steps=((None, "red"), (DAY_S, "yellow"), (7 * DAY_S, "green")),
        ),
        Panel("Inodes", [host("inode_usage_ratio")], "percentunit"),
        Panel("Read-only file systems", [host("read_only_disks")]),
        Panel(
            "Disk traffic",
            [host("disk_read_bytes_per_second", "read"), host("disk_written_bytes_per_second", "written")],
            "Bps",
        ),
        Panel("Disk busy", [host("disk_busy_ratio")], "percentunit"),
        Panel(
            "Network errors and drops",
            [host("network_errors_per_second", "errors"), host("network_drops_per_second", "drops")],
        ),
        Panel("Clock offset", [host("clock_offset_seconds")], "s", "Positive: ahead of NTP."),
        Panel(
            "NTP",
            [host("clock_synchronised")],
            kind="state-timeline",
            steps=((None, "red"), (1, "green")),
            names={"0": "not synchronised", "1": "synchronised"},
        ),
        Panel("Open files", [host("open_files_usage_ratio")], "percentunit", "Share of the system limit."),
        Panel("Zombies", [host("zombies")]),
    ),
    across=4,
)

DASHBOARD = GrafanaDashboard(
    "hosts",
    "Hosts",
    (CHECKS, USAGE, STALLS, LOAD, TRAFFIC, DISKS),
    variables=(Variable("host", "Host", "label_values(botwatch_host_uptime_seconds, host)"),),
)
