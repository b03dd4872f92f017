"""The client for asyncio: the same background sender; what waits is a coroutine."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from botwatch.client import REPORT_TIMEOUT_S, MonitoringController
from botwatch.record_methods import RecordMethods
from botwatch.records import Record
from botwatch.sender import Stats
from botwatch.timeouts import TIMEOUT_S

if TYPE_CHECKING:
    from botwatch.dashboard_client import Dashboard, DashboardAlert, Period, Report


class AsyncMonitoringController(RecordMethods):
    """`MonitoringController` for asyncio, with the same settings.

    Every `log_…` is a plain call: it puts the record into the spool within microseconds, and a thread sends
    it. What waits for Botwatch is a coroutine that runs in a thread.
    """

    def __init__(self, bot: str, **settings: Any) -> None:  # noqa: ANN401 - those of MonitoringController
        if settings.get("background") is False:
            raise ValueError("background: expected True: without it every log_… would hold up the event loop")
        self.bot = bot
        self._monitor = MonitoringController(bot, **settings)

    @property
    def stats(self) -> Stats:
        """What became of the records that were logged."""
        return self._monitor.stats

    def log_record(self, made: Record) -> str:
        """Log a record made with `botwatch.records`, as every `log_…` does, and return its id."""
        return self._monitor.log_record(made)

    async def start_monitoring(self) -> None:
        """Send heartbeats from now on; raises as `MonitoringController.start_monitoring` does."""
        await asyncio.to_thread(self._monitor.start_monitoring)

    async def stop_monitoring(self) -> None:
        """Send no further heartbeats."""
        await asyncio.to_thread(self._monitor.stop_monitoring)

    async def publish(self, made: Sequence[Record]) -> None:
        """Publish records now, all or none; raises as `MonitoringController.publish` does."""
        await asyncio.to_thread(self._monitor.publish, made)

    async def flush(self, timeout_s: float = TIMEOUT_S) -> bool:
        """Wait until every record that was logged is sent; return whether all are."""
        return await asyncio.to_thread(self._monitor.flush, timeout_s)

    async def close(self, *, final: bool = False) -> None:
        """Announce that the bot stops on purpose, send what is left, and disconnect; `final` retires it."""
        await asyncio.to_thread(self._monitor.close, final=final)

    async def get_current_dashboard(self) -> "Dashboard":
        """Return the current state of everything."""
        return await asyncio.to_thread(self._monitor.get_current_dashboard)

    async def generate_monitoring_report(
        self, period: "Period" = "day", *, bots: Sequence[str] = (), timeout_s: float = REPORT_TIMEOUT_S
    ) -> "Report":
        """Have a report built of trading, alerts, checks and hosts, and return it."""
        build = self._monitor.generate_monitoring_report
        return await asyncio.to_thread(build, period, bots=bots, timeout_s=timeout_s)

    async def generate_performance_report(
        self, period: "Period" = "day", *, bots: Sequence[str] = (), timeout_s: float = REPORT_TIMEOUT_S
    ) -> "Report":
        """Have a report built of trading alone, by default of this bot, and return it."""
        build = self._monitor.generate_performance_report
        return await asyncio.to_thread(build, period, bots=bots, timeout_s=timeout_s)

    async def acknowledge_alert(self, alert_id: str, by: str, comment: str | None = None) -> "DashboardAlert":
        """Acknowledge an alert as `by`, and return it."""
        return await asyncio.to_thread(self._monitor.acknowledge_alert, alert_id, by, comment)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; after an error only disconnect, so that the bot's absence opens an alert."""
        # Cancelling a task is how asyncio programs end, as Ctrl-C is elsewhere.
        shown = KeyboardInterrupt() if isinstance(error, asyncio.CancelledError) else error
        await asyncio.to_thread(self._monitor.__exit__, type(shown) if shown else None, shown, trace)
