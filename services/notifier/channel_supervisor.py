"""The office: the channels that are served and their dispatcher, and how they change when documents do."""

import threading
import time
from collections.abc import Collection, Iterable, Mapping

import structlog

from services.notifier.channels.base import MessageContent
from services.notifier.channels.registry import build_transport
from services.notifier.channels.watchdog_ping import WATCHDOG_URL_CHANNEL
from services.notifier.content.factory import ContentFactory
from services.notifier.delivery.channel_state import ChannelState, DeliveryContext
from services.notifier.delivery.worker import ChannelWorkers
from services.notifier.planning.dispatcher import Dispatcher
from services.notifier.planning.routing_config import RoutingConfig
from shared.runtime.config.documents import Documents
from shared.runtime.config.notifications import ChannelSection
from shared.runtime.redis.alert_stream import AlertStreamPublisher
from shared.schema.watchdog import LOOPBACK_CHANNEL

log = structlog.get_logger()

DEFAULT_MESSAGES_PER_MINUTE = 30
"""After how many messages within a minute people get a digest, where the document does not say."""
STOP_TIMEOUT_S = 1.0
"""How long a delivery in hand may take to end when its channel stops."""


class ChannelSupervisor:
    """Serves every channel that is switched on, until it is closed."""

    def __init__(
        self,
        documents: Documents,
        contents: ContentFactory,
        post: DeliveryContext,
        announcer: AlertStreamPublisher,
    ) -> None:
        self._post = post._replace(on_deliveries_written=self._on_deliveries_written)
        self._lock = threading.Lock()
        self._sections: Mapping[str, object] = {}
        """What each channel was made of."""
        self._channels: dict[str, ChannelWorkers] = {}
        self.dispatcher = Dispatcher(
            post.database,
            announcer,
            RoutingConfig.from_documents(documents),
            self._wake_channels,
            post.dashboard_url,
        )
        self._apply_channels(documents, contents)

    def start(self) -> None:
        """Begin to dispatch and to deliver."""
        self.dispatcher.suppress_unserved(self._channels)
        for channel in self._channels.values():
            channel.start()
        self.dispatcher.start()
        if len(self._channels) == 1:
            log.warning("no channels configured: notifications are disabled")

    def reload(self, documents: Documents, contents: ContentFactory) -> None:
        """Go on by other documents: channels that are as they were go on undisturbed.

        InvalidError, with everything as it was, when a channel cannot be made. What is written otherwise now
        (templates) is so in the channels that are other than before.
        """
        plan = RoutingConfig.from_documents(documents)
        added, gone = self._apply_channels(documents, contents)
        # They count as served from here on, also if the store is locked right now.
        for channel in added:
            channel.start()
        try:
            self.dispatcher.reload(plan, self._channels)
        finally:
            _stop_all(gone)

    def _apply_channels(
        self, documents: Documents, contents: ContentFactory
    ) -> tuple[list[ChannelWorkers], list[ChannelWorkers]]:
        """Make the channels that are new or other than before; return these, and those that are no more."""
        wanted = _configured_channels(documents)
        others = [name for name, section in wanted.items() if self._sections.get(name) != section]
        made = {name: self._build_channel(name, wanted[name], contents(name)) for name in others}
        with self._lock:
            gone = [channel for name, channel in self._channels.items() if name in made or name not in wanted]
            kept = {name: channel for name, channel in self._channels.items() if channel not in gone}
            self._channels, self._sections = kept | made, wanted
        return list(made.values()), gone

    def _build_channel(self, name: str, section: ChannelSection, content: MessageContent) -> ChannelWorkers:
        transports = [build_transport(name, section, content) for _ in range(section.concurrency)]
        default = DEFAULT_MESSAGES_PER_MINUTE if transports[0].takes_batches else None
        is_own = name in (LOOPBACK_CHANNEL, WATCHDOG_URL_CHANNEL)
        standing = ChannelState(name, None if is_own else section.per_minute or default, self._post)
        return ChannelWorkers(standing, transports, self._post)

    def wake(self) -> None:
        """Look for all that has happened and is due."""
        self.dispatcher.wake()

    def _wake_channels(self, names: Iterable[str]) -> None:
        channels = self._channels
        for name in names:
            if channel := channels.get(name):
                channel.wake()

    def _on_deliveries_written(self, names: Collection[str]) -> None:
        if not self._channels.keys() >= {*names}:
            # What stood in for a channel when the notice was written is gone by now.
            self.dispatcher.suppress_unserved(self._channels)
        self._wake_channels(names)
        self.dispatcher.wake()

    @property
    def lease_owners(self) -> list[str]:
        """Under which names deliveries are in flight."""
        return [lease for channel in self._channels.values() for lease in channel.lease_owners]

    def check(self) -> dict[str, str]:
        """Return how each channel stands; RuntimeError names those that nothing delivers to."""
        stand, failing = {}, []
        for name, channel in self._channels.items():
            try:
                stand[name] = channel.check()
            except Exception as error:  # noqa: BLE001 - whatever keeps a channel from delivering is shown
                failing.append(f"{name}: {type(error).__name__}: {error}")
        if failing:
            raise RuntimeError("; ".join(failing))
        return stand

    def close(self) -> None:
        """Stop, letting what is in hand end."""
        self.dispatcher.stop()
        self.dispatcher.join(STOP_TIMEOUT_S)
        _stop_all(list(self._channels.values()))


def _configured_channels(documents: Documents) -> dict[str, ChannelSection]:
    """Return the channels that are to be served, with those of the watchdog."""
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
    hanging = [one.name for one in stopping if not one.join(max(0.0, deadline - time.monotonic()))]
    if hanging:
        log.warning("stopped with deliveries in flight; they will be retried", channels=hanging)
