"""Hosts: resources of the hosts with a collector."""

from grafana_foundation_sdk.builders import statetimeline, timeseries

from grafana.builders import (
    BYTES,
    BYTES_PER_SECOND,
    COUNT,
    NUMBER,
    RATIO,
    SECONDS,
    Board,
    Look,
    Query,
    Row,
    alert_annotation,
    host_variable,
    single_stat,
    state_timeline,
    time_series,
)
from grafana.limits import PLAIN, Limits, rule_limits

SELECTED = 'host=~"$host"'
NO_HOST = "No data: does the collector run on this host (docs/health.md)?"
UNKNOWN = "No data: this host or container does not tell."


def host(name: str, called: str = "") -> Query:
    """Return a query for a metric of the selected hosts."""
    return Query(f"botwatch_host_{name}{{{SELECTED}}}", f"{{{{host}}}} {called}".rstrip())


def graph(
    title: str, about: str, *queries: Query, unit: str, limits: Limits = PLAIN, width: int = 8,
    empty: str = NO_HOST, decimals: int | None = None,
) -> timeseries.Panel:  # fmt: skip
    """Return a graph of metrics of the selected hosts."""
    return time_series(title, about, queries, Look(unit, limits, empty, decimals, width))


def yes_or_no(
    title: str, about: str, query: Query, names: dict[int, str], limits: Limits
) -> statetimeline.Panel:
    """Return a timeline of a condition."""
    return state_timeline(title, about, [query], Look(NUMBER, limits, NO_HOST, 0, names=names))


NOW = Row(
    "Now",
    (
        single_stat(
            "CPU",
            "Usage of all cores.",
            [host("cpu_usage_ratio")],
            Look(RATIO, rule_limits("host-cpu"), NO_HOST, 1, 6, 5),
        ),
        single_stat(
            "Memory",
            "Memory that is not available to programs.",
            [host("memory_usage_ratio")],
            Look(RATIO, rule_limits("host-memory"), NO_HOST, 1, 6, 5),
        ),
        single_stat(
            "Disk",
            "The fullest file system.",
            [host("disk_usage_ratio")],
            Look(RATIO, rule_limits("host-disk"), NO_HOST, 1, 6, 5),
        ),
        single_stat(
            "Load per core",
            "Running and waiting processes over 5 minutes, per core; above 1 some are waiting.",
            [
                Query(
                    f"botwatch_host_load_5{{{SELECTED}}} / botwatch_host_cpu_cores{{{SELECTED}}}", "{{host}}"
                )
            ],
            Look(NUMBER, PLAIN, NO_HOST, 2, 6, 5),
        ),
    ),
    collapsed=False,
)

USAGE = Row(
    "Usage",
    (
        graph(
            "CPU", "Usage of all cores.", host("cpu_usage_ratio"), unit=RATIO, limits=rule_limits("host-cpu")
        ),
        graph(
            "Memory",
            "Memory that is not available to programs.",
            host("memory_usage_ratio"),
            unit=RATIO,
            limits=rule_limits("host-memory"),
        ),
        graph(
            "Disk",
            "The fullest file system.",
            host("disk_usage_ratio"),
            unit=RATIO,
            limits=rule_limits("host-disk"),
        ),
        graph(
            "Load",
            "Running and waiting processes; above the number of cores some are waiting.",
            *(host(f"load_{minutes}", f"{minutes} min") for minutes in (1, 5, 15)),
            host("cpu_cores", "cores"),
            unit=NUMBER,
            width=12,
            decimals=1,
        ),
        graph(
            "Network",
            "All interfaces but loopback.",
            host("network_received_bytes_per_second", "received"),
            host("network_sent_bytes_per_second", "sent"),
            unit=BYTES_PER_SECOND,
            width=12,
        ),
    ),
    collapsed=False,
)

PRESSURE = Row(
    "Pressure",
    (
        graph(
            "Stall (PSI)",
            "Share of time in which tasks waited for the resource; the rule is on memory.",
            host("cpu_pressure_ratio", "CPU"),
            host("memory_pressure_ratio", "memory"),
            host("io_pressure_ratio", "I/O"),
            unit=RATIO,
            limits=rule_limits("host-pressure"),
            empty=UNKNOWN,
        ),
        graph(
            "CPU steal, I/O wait and throttling",
            "Time that the hypervisor gave to others, that the CPU waited for disks, that a limit took away.",
            host("cpu_steal_ratio", "steal"),
            host("cpu_iowait_ratio", "iowait"),
            host("cgroup_throttled_ratio", "throttled"),
            unit=RATIO,
            empty=UNKNOWN,
        ),
        graph(
            "OOM kills",
            "Processes that the kernel killed since the previous sample.",
            host("oom_kills"),
            unit=COUNT,
            limits=rule_limits("oom-kill"),
            decimals=0,
        ),
        graph(
            "Swap",
            "Used share of the swap space.",
            host("swap_usage_ratio"),
            unit=RATIO,
            limits=rule_limits("host-swap"),
            empty="No data: the host has no swap.",
        ),
        graph(
            "Memory",
            "Available to programs, and in all.",
            host("memory_available_bytes", "available"),
            host("memory_total_bytes", "total"),
            unit=BYTES,
        ),
        graph(
            "Temperature",
            "The hottest sensor.",
            host("temperature_celsius"),
            unit="celsius",
            empty="No data: the host has no sensor that the kernel reads, as virtual machines.",
        ),
    ),
)

DISKS = Row(
    "Disks",
    (
        graph(
            "Disk full in",
            "At the rate of the last hours; empty while no disk is filling.",
            host("disk_full_seconds"),
            unit=SECONDS,
            limits=rule_limits("disk-full-soon"),
            empty="No disk is filling.",
        ),
        graph(
            "Inodes",
            "Used share, of the file system with the fewest free.",
            host("inode_usage_ratio"),
            unit=RATIO,
        ),
        graph(
            "Read-only file systems",
            "That were writable before, or should be.",
            host("read_only_disks"),
            unit=COUNT,
            limits=rule_limits("disk-read-only"),
            decimals=0,
        ),
        graph(
            "Disk traffic",
            "All disks.",
            host("disk_read_bytes_per_second", "read"),
            host("disk_written_bytes_per_second", "written"),
            unit=BYTES_PER_SECOND,
            width=12,
        ),
        graph(
            "Disk busy",
            "Share of time in which the busiest disk worked.",
            host("disk_busy_ratio"),
            unit=RATIO,
            width=12,
        ),
    ),
)

SYSTEM = Row(
    "Network, clock and processes",
    (
        graph(
            "Network errors and drops",
            "Packets of all interfaces.",
            host("network_errors_per_second", "errors"),
            host("network_drops_per_second", "drops"),
            unit="pps",
        ),
        graph(
            "Network latency",
            "To the address that `network` in health_monitor.json names.",
            host("network_latency_seconds"),
            unit=SECONDS,
            empty="No data: no target is configured, or none answers.",
        ),
        graph(
            "Clock offset",
            "Positive: ahead of NTP. Exchanges refuse orders of a clock that is off.",
            host("clock_offset_seconds"),
            unit=SECONDS,
            empty="No data: no NTP service tells the offset.",
        ),
        yes_or_no(
            "NTP",
            "Whether an NTP service keeps the clock.",
            host("clock_synchronised"),
            {0: "not synchronised", 1: "synchronised"},
            rule_limits("clock"),
        ),
        graph("Open files", "Share of the system's limit.", host("open_files_usage_ratio"), unit=RATIO),
        graph(
            "Processes",
            "All, and zombies: ended, but not collected by their parent.",
            host("processes", "processes"),
            host("zombies", "zombies"),
            unit=COUNT,
            decimals=0,
        ),
        graph("Uptime", "Since the host started.", host("uptime_seconds"), unit=SECONDS, width=24),
    ),
)

BOARD = Board(
    "hosts",
    "Hosts",
    "Resources of the hosts: what is scarce, and what will be.",
    (NOW, USAGE, PRESSURE, DISKS, SYSTEM),
    page="/hosts",
    variables=(host_variable(),),
    annotations=(alert_annotation(SELECTED),),
)
