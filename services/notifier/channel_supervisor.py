"""Channel supervisor: starts, reloads and stops the dispatcher and the workers of all enabled channels."""

import threading
import time
from collections.abc import Collection, Iterable, Mapping

import structlog

from services.notifier.channels.registry import build_transport
from services.notifier.content.message_view import MessageContent
from services.notifier.content.rendering import ContentFactory
from services.notifier.delivery.channel_state import ChannelState, DeliveryContext
from services.notifier.delivery.worker import ChannelWorkers
from services.notifier.planning.dispatcher import Dispatcher
from services.notifier.planning.routes import RoutingConfig
from shared.runtime.config.documents import Documents
from shared.runtime.config.notifications import ChannelSection
from shared.runtime.redis.alert_stream import AlertStreamPublisher
from shared.schema.watchdog import LOOPBACK_CHANNEL, WATCHDOG_URL_CHANNEL

log = structlog.get_logger()

DEFAULT_MESSAGES_PER_MINUTE = 30
"""Default `perMinute` of channels that batch: further messages are sent as a digest."""
STOP_TIMEOUT_S = 1.0
"""How long to wait for deliveries in flight when a channel stops."""


class ChannelSupervisor:
    """Serves every enabled channel until it is closed."""

    def __init__(
        self,
        documents: Documents,
        contents: ContentFactory,
        context: DeliveryContext,
        announcer: AlertStreamPublisher,
    ) -> None:
        self._post = context._replace(on_deliveries_written=self._on_deliveries_written)
        self._lock = threading.Lock()
        self._sections: Mapping[str, object] = {}
        """The section that each channel was built from."""
        self._channels: dict[str, ChannelWorkers] = {}
        self.dispatcher = Dispatcher(
            context.database,
            announcer,
            RoutingConfig.from_documents(documents),
            self._wake_channels,
            context.dashboard_url,
        )
        self._apply_channels(documents, contents)

    def start(self) -> None:
        """Start the dispatcher and all channels."""
        self.dispatcher.suppress_unserved(self._channels)
        for channel in self._channels.values():
            channel.start()
        self.dispatcher.start()
        if len(self._channels) == 1:
            log.warning("no channels configured: notifications are disabled")

    def reload(self, documents: Documents, contents: ContentFactory) -> None:
        """Apply new documents; unchanged channels keep running, with their templates.

        Raises InvalidError if a channel cannot be built; then nothing changes.
        """
        plan = RoutingConfig.from_documents(documents)
        added, removed = self._apply_channels(documents, contents)
        # They count as served from here on, even if the database is locked now.
        for channel in added:
            channel.start()
        try:
            self.dispatcher.reload(plan, self._channels)
        finally:
            _stop_all(removed)

    def _apply_channels(
        self, documents: Documents, contents: ContentFactory
    ) -> tuple[list[ChannelWorkers], list[ChannelWorkers]]:
        """Build new and changed channels; return these, and those that were removed or replaced."""
        wanted = _configured_channels(documents)
        changed = [name for name, section in wanted.items() if self._sections.get(name) != section]
        built = {name: self._build_channel(name, wanted[name], contents(name)) for name in changed}
        with self._lock:
            removed = [
                channel for name, channel in self._channels.items() if name in built or name not in wanted
            ]
            kept = {name: channel for name, channel in self._channels.items() if channel not in removed}
            self._channels, self._sections = kept | built, wanted
        return list(built.values()), removed

    def _build_channel(self, name: str, section: ChannelSection, content: MessageContent) -> ChannelWorkers:
        transports = [build_transport(name, section, content) for _ in range(section.concurrency)]
        default = DEFAULT_MESSAGES_PER_MINUTE if transports[0].takes_batches else None
        is_own = name in (LOOPBACK_CHANNEL, WATCHDOG_URL_CHANNEL)
        state = ChannelState(name, None if is_own else section.per_minute or default, self._post)
        return ChannelWorkers(state, transports, self._post)

    def wake(self) -> None:
        """Dispatch new events now."""
        self.dispatcher.wake()

    def _wake_channels(self, names: Iterable[str]) -> None:
        channels = self._channels
        for name in names:
            if channel := channels.get(name):
                channel.wake()

    def _on_deliveries_written(self, names: Collection[str]) -> None:
        if not self._channels.keys() >= {*names}:
            # A fallback that was planned has been removed from the config since.
            self.dispatcher.suppress_unserved(self._channels)
        self._wake_channels(names)
        self.dispatcher.wake()

    @property
    def lease_owners(self) -> list[str]:
        """Owners of the leases of deliveries in flight."""
        return [lease for channel in self._channels.values() for lease in channel.lease_owners]

    def check(self) -> dict[str, str]:
        """Return the status of each channel; raise RuntimeError with the names and errors of broken ones."""
        statuses, failing = {}, []
        for name, channel in self._channels.items():
            try:
                statuses[name] = channel.check()
            except Exception as error:  # noqa: BLE001 - any error of a channel is shown in /health
                failing.append(f"{name}: {type(error).__name__}: {error}")
        if failing:
            raise RuntimeError("; ".join(failing))
        return statuses

    def close(self) -> None:
        """Stop; deliveries in flight may finish."""
        self.dispatcher.stop()
        self.dispatcher.join(STOP_TIMEOUT_S)
        _stop_all(list(self._channels.values()))


def _configured_channels(documents: Documents) -> dict[str, ChannelSection]:
    """Return the channels to serve, including those of the watchdog."""
    beat = documents.notifications.watchdog.url
    own = {LOOPBACK_CHANNEL: ChannelSection()} | (
        {WATCHDOG_URL_CHANNEL: ChannelSection(url=beat)} if beat else {}
    )
    return {**documents.channels, **own}


def _stop_all(channels: Iterable[ChannelWorkers]) -> None:
    stopping = list(channels)
    for channel in stopping:
        channel.stop()
    deadline = time.monotonic() + STOP_TIMEOUT_S
    hanging = [
        channel.name for channel in stopping if not channel.join(max(0.0, deadline - time.monotonic()))
    ]
    if hanging:
        log.warning("stopped with deliveries in flight; they will be retried", channels=hanging)
