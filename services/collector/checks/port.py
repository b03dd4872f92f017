"""A TCP port of the watched host on which something must listen."""

from datetime import datetime

from services.collector.checks.base import CheckResult, Probe
from services.collector.host import process_table
from services.collector.host.sockets import tcp_listeners
from services.collector.host.watched_host import WatchedHost
from shared.schema.records import CheckType


def create_probe(port: int, timeout_s: float, place: WatchedHost) -> Probe:
    """Make the probe of `port`."""
    del timeout_s  # /proc answers at once.
    return PortProbe(port, place)


class PortProbe:
    """Reads the host's socket table: no connection is made and nothing appears in a server's log."""

    type: CheckType = "port"

    def __init__(self, port: int, place: WatchedHost) -> None:
        self._port = port
        self._proc = place.proc
        self._net = place.net
        self._owner: tuple[int, str] = (0, "")

    def run(self, now: datetime) -> CheckResult:
        """Run once; `unknown` if the table cannot be read."""
        del now
        try:
            found = [one for one in tcp_listeners(self._net) if one.port == self._port]
        except PermissionError as error:
            return CheckResult("unknown", f"Permission denied on {error.filename}", "denied")
        except OSError as error:
            return CheckResult("unknown", f"Cannot read the socket table: {error}", "other")
        if not found:
            return CheckResult("critical", f"Nothing is listening on port {self._port}", "not_running")
        where = " and ".join(str(one) for one in found)
        return CheckResult("ok", f"{self._process_name(found[0].inode)} listens on {where}")

    def _process_name(self, inode: int) -> str:
        """Name the process; finding it reads all open files, so only after a change."""
        if self._owner[0] != inode:
            process = process_table.socket_owner(self._proc, inode)
            self._owner = (inode, str(process) if process else "an unreadable process")
        return self._owner[1]
