"""The client: sends a bot's records in the background, and asks the dashboard.

monitor = MonitoringController(bot="scalper-1", redis_url="redis://bot:PASSWORD@localhost:6379/0")
monitor.start_monitoring()
monitor.log_performance_metrics(portfolioValue=12500.00, maxDrawdown=8.5)
monitor.get_current_dashboard().summary.status
"""

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from botwatch import validation
from botwatch.errors import BotwatchError, RefusedError
from botwatch.publishers import Publisher
from botwatch.record_methods import RecordMethods
from botwatch.records import Record
from botwatch.sender import Sender, Stats
from botwatch.spool import Spool, default_folder, spool_name
from botwatch.timeouts import TIMEOUT_S
from botwatch.typed_json import encode

if TYPE_CHECKING:  # HTTP takes longer to import than all the rest
    from botwatch.dashboard_client import (
        Dashboard,
        DashboardAlert,
        DashboardClient,
        HealthStatus,
        Period,
        Report,
    )

log = logging.getLogger("botwatch")

API_URL = "http://localhost:9090"
"""Where records go without `api_url`, `redis_url` and BOTWATCH_INGESTION_URL."""
DASHBOARD_URL = "http://localhost:3001"
"""The dashboard without `dashboard_url` and BOTWATCH_URL."""

CHECK_S = 2.0
"""How long `start_monitoring` waits to learn that a token or password is wrong."""
REPORT_TIMEOUT_S = 120.0
EXIT_S = 2.0
"""How long the end of the process waits for records to be sent."""
STOPPED, RETIRED = "stopped", "retired"
"""Heartbeat statuses of a bot that stopped on purpose, for now or for good."""


class DashboardMethods:
    """What both controllers ask the dashboard; each call raises BotwatchError."""

    def __init__(self, url: str | None, token: str, timeout_s: float) -> None:
        self._dashboard_url = url or os.environ.get("BOTWATCH_URL") or DASHBOARD_URL
        self._token, self._timeout_s = token, timeout_s
        self._client: DashboardClient | None = None

    @property
    def _dashboard(self) -> "DashboardClient":
        """The connection, made when it is first needed: HTTP takes longer to import than all the rest."""
        if self._client is None:
            from botwatch.dashboard_client import DashboardClient  # noqa: PLC0415

            self._client = DashboardClient(self._dashboard_url, token=self._token, timeout_s=self._timeout_s)
        return self._client

    def acknowledge_alert(self, alert_id: str, by: str, comment: str | None = None) -> "DashboardAlert":
        """Acknowledge an alert as `by`, and return it."""
        return self._dashboard.acknowledge(alert_id, by, comment)

    def _close_dashboard(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


class MonitoringController(RecordMethods, DashboardMethods):
    """The monitoring of one bot: sends its records, and asks the dashboard.

    With `redis_url`, records go to the durable stream in that Redis, otherwise to the HTTP endpoint at
    `api_url` (BOTWATCH_INGESTION_URL, port 9090 of this machine); the dashboard is at `dashboard_url`
    (BOTWATCH_URL, port 3001). `token` is an API token (`bw_…`) for that endpoint (scope `ingest`) and the
    dashboard (`read`, `operate`), by default BOTWATCH_TOKEN; `api_token` is another one for the endpoint
    alone, such as `INGEST_TOKEN` or one of `INGEST_TOKENS`.

    Every `log_…` returns the id of the record at once, and never waits for Botwatch: the record is in a file
    of `spool_folder` (default: BOTWATCH_SPOOL, else the user's state) until a thread has sent it, through
    outages and crashes of the bot. At most 64 MiB wait, without a folder that can be written 10,000 records
    in memory; beyond, the oldest are dropped. `stats` counts what became of them. A `log_…` raises only
    InvalidRecordError, a ValueError, with every field that is not valid.

    With `background=False` a `log_…` sends the record itself: it raises BotwatchError for a record that the
    server rejects, and UnavailableError if there is no response after three retries.
    """

    def __init__(  # noqa: PLR0913 - settings, by name
        self,
        bot: str,
        *,
        redis_url: str | None = None,
        api_url: str | None = None,
        api_token: str = "",
        token: str | None = None,
        dashboard_url: str | None = None,
        heartbeat_interval_s: float = 10.0,
        timeout_s: float = TIMEOUT_S,
        background: bool = True,
        spool_folder: Path | None = None,
    ) -> None:
        if redis_url and api_url:
            raise ValueError("expected redis_url or api_url, got both")
        if not bot:
            raise ValueError("expected the bot's name, got an empty one")
        self.bot = bot
        token = _default_token() if token is None else token
        self._publisher = _create_publisher(redis_url, api_url, api_token or token, timeout_s)
        DashboardMethods.__init__(self, dashboard_url, token, timeout_s)
        self._heartbeat_interval_s = heartbeat_interval_s
        self._stopping = threading.Event()
        self._heartbeats: threading.Thread | None = None
        self._published = False
        """Whether this process has published: Botwatch expects its heartbeats then."""
        self._sender: Sender | None = None
        if background:
            folder = spool_folder or default_folder()
            owner = spool_name(bot, self._publisher.address)
            self._sender = Sender(self._publisher, lambda: Spool(folder and folder / owner))
            atexit.register(_close_at_exit, weakref.ref(self._sender))

    @property
    def stats(self) -> Stats:
        """What became of the records that were logged."""
        return self._sender.stats if self._sender else Stats(0, 0, 0, 0, 0, None)

    def start_monitoring(self) -> None:
        """Send a heartbeat now and, from a thread, every `heartbeat_interval_s` until `stop_monitoring`.

        Raises RefusedError for a wrong token or password, if Botwatch answers within two seconds. If it does
        not respond, that is logged; with `background=False` it raises UnavailableError.
        """
        if self._heartbeats and self._heartbeats.is_alive():  # threads do not survive a fork
            return
        self._check()
        self.heartbeat(interval_seconds=self._heartbeat_interval_s)
        # The previous thread may still wait for a response; it keeps its own event.
        self._stopping = threading.Event()
        self._heartbeats = threading.Thread(
            target=self._heartbeat_loop, args=(self._stopping,), name="botwatch-heartbeat", daemon=True
        )
        self._heartbeats.start()

    def _check(self) -> None:
        if self._sender is None:
            self._publisher.check()
            return
        refused: list[RefusedError] = []

        def check() -> None:
            try:
                self._publisher.check()
            except RefusedError as error:
                refused.append(error)
            except BotwatchError as error:
                log.warning("%s; records wait until it works", error)

        checking = threading.Thread(target=check, name="botwatch-check", daemon=True)
        checking.start()
        checking.join(CHECK_S)
        if refused:
            raise refused[0]

    def stop_monitoring(self) -> None:
        """Send no further heartbeats."""
        self._stopping.set()
        if self._heartbeats:
            self._heartbeats.join(timeout=2)
            self._heartbeats = None

    def close(self, *, final: bool = False) -> None:
        """Announce that the bot stops on purpose, so that its absence opens no alert, and disconnect.

        `final` retires the bot. A client that has published nothing only disconnects.
        """
        if self._published or final:
            self._send_final_heartbeat(RETIRED if final else STOPPED)
        self._disconnect()

    def _send_final_heartbeat(self, status: str) -> None:
        self.stop_monitoring()
        try:
            self.heartbeat(status)
        except BotwatchError as error:
            log.warning("could not send the heartbeat `%s` of %s: %s", status, self.bot, error)
        self._published = False

    def _disconnect(self) -> None:
        self.stop_monitoring()
        if self._sender:
            self._sender.close(self._timeout_s)
        self._publisher.close()
        self._close_dashboard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; after an error only disconnect, so that the bot's absence opens an alert."""
        if error is None or isinstance(error, KeyboardInterrupt) or _is_exit(error):
            self.close()
        else:
            self._disconnect()

    def log_record(self, made: Record) -> str:
        """Log a record made with `botwatch.records`, as every `log_…` does, and return its id."""
        validation.validate_records([made])
        if self._sender:
            self._sender.put(encode(made))
        else:
            self._publisher.publish([encode(made)])
        self._published = True
        return str(made["id"])

    def publish(self, made: Sequence[Record]) -> None:
        """Publish records made with `botwatch.records` now, all or none; publishing them again is harmless.

        Raises InvalidRecordError, a ValueError, with every field that is not valid; nothing is sent then.
        Raises RefusedError and UnavailableError as Botwatch answers.
        """
        if made:
            validation.validate_records(made)
            self._publisher.publish([encode(one) for one in made])
            self._published = True

    def flush(self, timeout_s: float = TIMEOUT_S) -> bool:
        """Wait until every record that was logged is sent; return whether all are."""
        return self._sender is None or self._sender.flush(timeout_s)

    def get_current_dashboard(self) -> "Dashboard":
        """Return the current state of everything."""
        return self._dashboard.dashboard()

    def generate_monitoring_report(
        self, period: "Period" = "day", *, bots: Sequence[str] = (), timeout_s: float = REPORT_TIMEOUT_S
    ) -> "Report":
        """Have a report built of trading, alerts, checks and hosts, and return it.

        `period` is the latest 24 hours (`day`), or the last complete day, week or month (`daily`, …); `bots`
        are names or patterns, by default all. Raises BotwatchError if it is not built in `timeout_s`.
        """
        return self._dashboard.report("monitoring", period, bots, timeout_s)

    def generate_performance_report(
        self, period: "Period" = "day", *, bots: Sequence[str] = (), timeout_s: float = REPORT_TIMEOUT_S
    ) -> "Report":
        """Have a report built of trading alone, by default of this bot, and return it, as above."""
        return self._dashboard.report("performance", period, bots or [self.bot], timeout_s)

    def _heartbeat_loop(self, stopping: threading.Event) -> None:
        failing = False
        while not stopping.wait(self._heartbeat_interval_s):
            try:
                self.heartbeat(interval_seconds=self._heartbeat_interval_s)
            except BotwatchError as error:
                if not failing:
                    log.warning("heartbeats cannot be sent; retrying: %s", error)
                failing = True
            else:
                failing = False


def _create_publisher(redis_url: str | None, api_url: str | None, token: str, timeout_s: float) -> Publisher:
    """Return the way to publish; the other one is not imported, which takes up to 0.1 s."""
    if redis_url:
        from botwatch.redis_publisher import RedisPublisher  # noqa: PLC0415

        return RedisPublisher(redis_url, timeout_s=timeout_s)
    from botwatch.http_publisher import HttpPublisher  # noqa: PLC0415

    url = api_url or os.environ.get("BOTWATCH_INGESTION_URL") or API_URL
    return HttpPublisher(url, token=token, timeout_s=timeout_s)


def _close_at_exit(sender: "weakref.ref[Sender]") -> None:
    """Send what was logged just before a script ended without `close`."""
    living = sender()
    if living is not None:
        living.close(EXIT_S)


def _default_token() -> str:
    return os.environ.get("BOTWATCH_TOKEN", "")


def _is_exit(error: BaseException) -> bool:
    return isinstance(error, SystemExit) and error.code in (None, 0)


class SystemHealthMonitor(DashboardMethods):
    """Asks for the health of hosts, which the collector samples."""

    def __init__(
        self, dashboard_url: str | None = None, *, token: str | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        """`token` is an API token with the scope `read`, and `operate` to acknowledge; or BOTWATCH_TOKEN."""
        super().__init__(dashboard_url, _default_token() if token is None else token, timeout_s)

    def start_monitoring(self) -> None:
        """Raise BotwatchError if the dashboard cannot be reached."""
        self._dashboard.dashboard()

    def get_current_health_status(self, host: str | None = None) -> "HealthStatus | None":
        """Return the health of `host`, by default of the worst one; None if it has never reported."""
        return self._dashboard.health(host)

    def close(self) -> None:
        """Close the connection."""
        self._close_dashboard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
