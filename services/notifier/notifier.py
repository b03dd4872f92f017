"""Notifier: waits for wakes, dispatches, and reloads its config; channels deliver in threads of their own."""

import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

import structlog
from redis import Redis
from redis.exceptions import RedisError

from services.notifier.channel_status import ChannelStatusPublisher
from services.notifier.channel_supervisor import ChannelSupervisor, LeaseRenewer
from services.notifier.channel_tests import ChannelTester
from services.notifier.content.rendering import ContentFactory
from services.notifier.planning.dispatcher import AT_ONCE, Dispatcher
from services.notifier.planning.routing_config import RoutingConfig
from services.notifier.report_sender import ReportSender
from shared.runtime import clock
from shared.runtime.config.documents import Documents
from shared.runtime.redis.alert_stream import AlertStreamPublisher
from shared.runtime.redis.reload_requests import ReloadRequests
from shared.runtime.redis.wake import wait_for_wake, wake
from shared.schema.faults import Fault, InvalidError
from shared.store.database import Database

log = structlog.get_logger()

ConfigReader = Callable[[], tuple[Documents, ContentFactory]]
"""Reads the config documents and templates. Raises InvalidError and OSError."""


class Notifier:
    """Delivers notifications: `start`, then `step` again and again in one thread, then `close`."""

    def __init__(
        self,
        read_config: ConfigReader,
        database: Database,
        connect: Callable[[], Redis],
        dashboard_url: str,
        home: Path = Path("var"),
    ) -> None:
        """`home` is the folder that has the reports."""
        self._read_config = read_config
        self._redis = connect()
        documents, contents = read_config()
        owner = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        routing = RoutingConfig.from_documents(documents)
        publisher = AlertStreamPublisher(self._redis, database)
        self.supervisor = ChannelSupervisor(documents, contents, database, owner, dashboard_url, self.wake)
        self.dispatcher = Dispatcher(database, publisher, routing, self.supervisor, dashboard_url)
        self.leases = LeaseRenewer(lambda: self.supervisor.lease_owners, database)
        self._tester = ChannelTester(connect(), dashboard_url, documents, contents)
        self._statuses = ChannelStatusPublisher(self._redis)
        self._reports = ReportSender(database, home, dashboard_url, documents, contents)
        self._wait = AT_ONCE
        self.served = len(documents.channels)
        """Number of configured channels."""

    def start(self) -> None:
        """Start the threads."""
        self.supervisor.start()
        self.leases.start()
        self._tester.start()
        self._reports.start()

    def step(self) -> bool:
        """Wait for a wake, a second at most, then dispatch; return whether a wake came.

        While Redis is away it dispatches all the same, and raises RedisError.
        """
        is_woken = False
        try:
            if self._wait:
                is_woken = wait_for_wake(self._redis, self._wait.total_seconds())
        finally:
            self._wait = self.dispatcher.step(clock.now(), is_woken=is_woken)
        if self._statuses.is_due():
            now = clock.now()
            self._statuses.publish(self.supervisor.statuses(now), now)
        return is_woken

    def wake(self) -> None:
        """Have the thread that waits dispatch now."""
        try:
            wake(self._redis)
        except RedisError as error:
            log.warning("cannot wake the dispatcher; it looks every second", error=str(error))

    def reload(self) -> int:
        """Read the config again and apply it; return the number of configured channels.

        Raises InvalidError and OSError if it cannot be used; then nothing changes.
        """
        documents, contents = self._read_config()
        routing = RoutingConfig.from_documents(documents)
        added, removed = self.supervisor.replace_channels(documents, contents)
        self.dispatcher.routing = routing
        self._tester.reload(documents, contents)
        self._reports.reload(documents, contents)
        self.supervisor.exchange(added, removed)
        self.served = len(documents.channels)
        return self.served

    def close(self) -> None:
        """Stop; deliveries in flight may finish."""
        self._tester.close()
        self._reports.close()
        self.supervisor.close()
        self.leases.close()


class Reloader:
    """Answers requests for a reload; `reload` returns the number of channels, which is `served` now."""

    def __init__(self, requests: ReloadRequests, reload: Callable[[], int], served: int) -> None:
        self._requests = requests
        self._reload = reload
        self._served = served

    def step(self, *, is_woken: bool) -> None:
        """Reload if it was requested: looked for at a wake, else once a second."""
        try:
            if self._requests.is_pending(at_once=is_woken):
                self._apply()
        except RedisError as error:
            log.debug("redis is down: reload requests cannot be received", error=str(error))

    def _apply(self) -> None:
        faults: Sequence[Fault] = ()
        try:
            self._served = self._reload()
        except InvalidError as error:
            faults = error.faults
            for fault in faults:
                log.error("config invalid; keeping the previous channels and routes", fault=str(fault))
        except Exception as error:
            # The notifier survives any error. The error's text may contain a secret, so the reply has only
            # its type.
            log.exception("cannot reload channels and routes")
            faults = [Fault("notifier", f"cannot reload the documents ({type(error).__name__})")]
        else:
            log.info("channels and routes reloaded", channels=self._served)
        self._requests.reply({"channels": self._served}, faults)
