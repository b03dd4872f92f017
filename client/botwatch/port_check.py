"""Whether the ports that Botwatch needs are free, and who holds them if not."""

import errno
import socket
from collections.abc import Mapping

import psutil


def describe_taken_ports(ports: Mapping[str, int]) -> list[str]:
    """Return a sentence for each port of `ports` (setting → port) that cannot be listened on at loopback."""
    faults = []
    seen: dict[int, str] = {}
    for setting, port in ports.items():
        if port in seen:
            faults.append(f"{setting} and {seen[port]} are both {port}: every part needs its own port")
        elif not _is_free(port):
            faults.append(
                f"port {port} ({setting}) is taken by {process_on_port(port)}: stop that, or set "
                f"another {setting}"
            )
        seen[port] = setting
    return faults


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def process_on_port(port: int) -> str:
    """Name the process that listens on `port`: `redis-server (pid 4711)`."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return "a process that this user may not see"
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.laddr or not connection.pid:
            continue
        if connection.laddr.port == port:
            try:
                process = psutil.Process(connection.pid)
                words = " ".join([process.name(), *process.cmdline()[1:]])[:80]
            except psutil.Error:
                words = "a process"
            return f"{words} (pid {connection.pid})"
    return "a process of another user"
