"""How the hosts do: processor, memory, disk, network, load."""

from grafana.panels import Dashboard, Panel, Query, Row, Steps, Variable


def usage(title: str, name: str, steps: Steps, about: str = "") -> Panel:
    """Show how much of a resource is in use, against the thresholds of health_monitor.json."""
    return Panel(title, [host(f"{name}_usage_ratio")], "percentunit", about, steps=steps)


def host(name: str, called: str = "") -> Query:
    """Ask for a figure of the chosen hosts."""
    return Query(f'botwatch_host_{name}{{host=~"$host"}}', f"{{{{host}}}} {called}".rstrip())


USAGE = Row(
    "Use",
    (
        usage("CPU", "cpu", ((None, "green"), (0.7, "yellow"), (0.9, "red")), "Of all cores together."),
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
            about="Processes that run or wait; above the number of cores some wait.",
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

DASHBOARD = Dashboard(
    "hosts",
    "Hosts",
    (USAGE, LOAD, TRAFFIC),
    variables=(Variable("host", "Host", "label_values(botwatch_host_uptime_seconds, host)"),),
)
