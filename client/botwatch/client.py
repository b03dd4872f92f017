"""The client: publishes a bot's records, and asks the dashboard.

monitor = MonitoringController(bot="scalper-1", redis_url="redis://bot:PASSWORD@localhost:6379/0")
monitor.start_monitoring()
monitor.log_performance_metrics(portfolioValue=12500.00, maxDrawdown=8.5)
monitor.get_current_dashboard().summary.status
"""

import logging
import os
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from botwatch import validation
from botwatch.dashboard_client import Dashboard, DashboardAlert, DashboardClient, HealthStatus, health_status
from botwatch.errors import BotwatchError
from botwatch.http_client import TIMEOUT_S
from botwatch.publishers import HttpPublisher, Publisher, RedisPublisher
from botwatch.record_methods import RecordMethods
from botwatch.records import Record

log = logging.getLogger("botwatch")

API_URL = "http://localhost:9090"
DASHBOARD_URL = "http://localhost:3001"

STOPPED, RETIRED = "stopped", "retired"
"""Heartbeat statuses of a bot that stopped on purpose, for now or for good."""


class MonitoringController(RecordMethods):
    """The monitoring of one bot: publishes its records, and asks the dashboard.

    With `redis_url`, records go to the durable stream in that Redis, otherwise to the HTTP endpoint at
    `api_url`. `token` is an API token (`bw_…`) for that endpoint (scope `ingest`) and the dashboard (`read`,
    `operate`), by default BOTWATCH_TOKEN; `api_token` is another one for the endpoint alone, such as
    `INGEST_TOKEN` or one of `INGEST_TOKENS`. Every
    `log_…` returns the id of the record. It raises ValueError for a record that is not valid, BotwatchError
    for one that the server rejects, and UnavailableError if there is no response after three retries. To
    retry later without a duplicate, keep the record and use `publish`: a second `log_…` is a new record.
    """

    def __init__(  # noqa: PLR0913 - settings, by name
        self,
        bot: str,
        *,
        redis_url: str | None = None,
        api_url: str | None = None,
        api_token: str = "",
        token: str | None = None,
        dashboard_url: str = DASHBOARD_URL,
        heartbeat_interval_s: float = 10.0,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        if redis_url and api_url:
            raise ValueError("expected redis_url or api_url, got both")
        self.bot = bot
        token = _default_token() if token is None else token
        self._publisher: Publisher = (
            RedisPublisher(redis_url, timeout_s=timeout_s)
            if redis_url
            else HttpPublisher(api_url or API_URL, token=api_token or token, timeout_s=timeout_s)
        )
        self._dashboard = DashboardClient(dashboard_url, token=token, timeout_s=timeout_s)
        self._heartbeat_interval_s = heartbeat_interval_s
        self._stopping = threading.Event()
        self._heartbeats: threading.Thread | None = None
        self._published = False
        """Whether this process has published: Botwatch expects its heartbeats then."""

    def start_monitoring(self) -> None:
        """Send a heartbeat now and, from a thread, every `heartbeat_interval_s` until `stop_monitoring`.

        Raises BotwatchError if Botwatch cannot be reached: a wrong address is noticed at once.
        """
        if self._heartbeats and self._heartbeats.is_alive():  # threads do not survive a fork
            return
        self._publisher.check()
        self.heartbeat(interval_seconds=self._heartbeat_interval_s)
        # The previous thread may still wait for a response; it keeps its own event.
        self._stopping = threading.Event()
        self._heartbeats = threading.Thread(
            target=self._heartbeat_loop, args=(self._stopping,), name="botwatch-heartbeat", daemon=True
        )
        self._heartbeats.start()

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
        self._publisher.close()
        self._dashboard.close()

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

    def publish(self, made: Sequence[Record]) -> None:
        """Publish records made with `botwatch.records`, all or none; publishing them again is harmless.

        Raises InvalidRecordError, a ValueError, with every field that is not valid; nothing is sent then.
        """
        if made:
            validation.validate_records(made)
            self._publisher.publish(made)
            self._published = True

    def get_current_dashboard(self) -> Dashboard:
        """Return the current state of everything."""
        return self._dashboard.dashboard()

    def acknowledge_alert(self, alert_id: str, by: str, comment: str | None = None) -> DashboardAlert:
        """Acknowledge an alert as `by`, and return it."""
        return self._dashboard.acknowledge(alert_id, by, comment)

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


def _default_token() -> str:
    return os.environ.get("BOTWATCH_TOKEN", "")


def _is_exit(error: BaseException) -> bool:
    return isinstance(error, SystemExit) and error.code in (None, 0)


class SystemHealthMonitor:
    """Asks for the health of hosts, which the collector samples."""

    def __init__(
        self, dashboard_url: str = DASHBOARD_URL, *, token: str | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        """`token` is an API token with the scope `read`, and `operate` to acknowledge; or BOTWATCH_TOKEN."""
        token = _default_token() if token is None else token
        self._dashboard = DashboardClient(dashboard_url, token=token, timeout_s=timeout_s)

    def start_monitoring(self) -> None:
        """Raise BotwatchError if the dashboard cannot be reached."""
        self._dashboard.dashboard()

    def get_current_health_status(self, host: str | None = None) -> HealthStatus | None:
        """Return the health of `host`, by default of the worst one; None if it has never reported."""
        return health_status(self._dashboard.dashboard(), host)

    def acknowledge_alert(self, alert_id: str, by: str, comment: str | None = None) -> DashboardAlert:
        """Acknowledge an alert as `by`, and return it."""
        return self._dashboard.acknowledge(alert_id, by, comment)

    def close(self) -> None:
        """Close the connection."""
        self._dashboard.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
