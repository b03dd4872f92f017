"""The office: the channels that are served and their dispatcher, and how they change when documents do."""

import threading
import time
from collections.abc import Collection, Iterable, Mapping

import structlog

from services.notifier.channels.heartbeat import HEARTBEAT
from services.notifier.channels.registry import transport_of
from services.notifier.channels.transport import Content
from services.notifier.contents import Contents
from services.notifier.delivery import Channel
from services.notifier.dispatch import Dispatcher
from services.notifier.plan import Plan
from services.notifier.standing import Post, Standing
from shared.runtime.announce import Announcer
from shared.runtime.documents import Documents
from shared.runtime.notifications import ChannelSection
from shared.schema.watchdog import ITSELF

log = structlog.get_logger()

PER_MINUTE = 30
"""After how many messages within a minute people get a digest, where the document does not say."""
LAST_WORD_S = 1.0
"""How long a delivery in hand may take to end when its channel stops."""


class Office:
    """Serves every channel that is switched on, until it is closed."""

    def __init__(self, documents: Documents, contents: Contents, post: Post, announcer: Announcer) -> None:
        self._post = post._replace(tell=self._tell)
        self._lock = threading.Lock()
        self._made: Mapping[str, object] = {}
        """What each channel was made of."""
        self._channels: dict[str, Channel] = {}
        self.dispatcher = Dispatcher(
            post.database, announcer, Plan.of(documents), self._wake, post.dashboard_url
        )
        self._arrange(documents, contents)

    def start(self) -> None:
        """Begin to dispatch and to deliver."""
        self.dispatcher.abandon(self._channels)
        for channel in self._channels.values():
            channel.start()
        self.dispatcher.start()
        if len(self._channels) == 1:
            log.warning("no channel is configured: nobody will be told")

    def rearrange(self, documents: Documents, contents: Contents) -> None:
        """Go on by other documents: channels that are as they were go on undisturbed.

        InvalidError, with everything as it was, when a channel cannot be made. What is written otherwise now
        (templates) is so in the channels that are other than before.
        """
        plan = Plan.of(documents)
        added, gone = self._arrange(documents, contents)
        # They count as served from here on, also if the store is locked right now.
        for channel in added:
            channel.start()
        try:
            self.dispatcher.serve(plan, self._channels)
        finally:
            _stop(gone)

    def _arrange(self, documents: Documents, contents: Contents) -> tuple[list[Channel], list[Channel]]:
        """Make the channels that are new or other than before; return these, and those that are no more."""
        wanted = _wanted(documents)
        others = [name for name, section in wanted.items() if self._made.get(name) != section]
        made = {name: self._open(name, wanted[name], contents(name)) for name in others}
        with self._lock:
            gone = [channel for name, channel in self._channels.items() if name in made or name not in wanted]
            kept = {name: channel for name, channel in self._channels.items() if channel not in gone}
            self._channels, self._made = kept | made, wanted
        return list(made.values()), gone

    def _open(self, name: str, section: ChannelSection, content: Content) -> Channel:
        transports = [transport_of(name, section, content) for _ in range(section.concurrency)]
        default = PER_MINUTE if transports[0].bundles else None
        is_own = name in (ITSELF, HEARTBEAT)
        standing = Standing(name, None if is_own else section.per_minute or default, self._post)
        return Channel(standing, transports, self._post)

    def wake(self) -> None:
        """Look for all that has happened and is due."""
        self.dispatcher.wake()

    def _wake(self, names: Iterable[str]) -> None:
        channels = self._channels
        for name in names:
            if channel := channels.get(name):
                channel.wake()

    def _tell(self, names: Collection[str]) -> None:
        if not self._channels.keys() >= {*names}:
            # What stood in for a channel when the notice was written is gone by now.
            self.dispatcher.abandon(self._channels)
        self._wake(names)
        self.dispatcher.wake()

    @property
    def leases(self) -> list[str]:
        """Under which names deliveries are in flight."""
        return [lease for channel in self._channels.values() for lease in channel.leases]

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
        self.dispatcher.join(LAST_WORD_S)
        _stop(list(self._channels.values()))


def _wanted(documents: Documents) -> dict[str, ChannelSection]:
    """Return the channels that are to be served, with those of the watchdog."""
    beat = documents.notifications.watchdog.url
    own = {ITSELF: ChannelSection()} | ({HEARTBEAT: ChannelSection(url=beat)} if beat else {})
    return {**documents.channels, **own}


def _stop(channels: Iterable[Channel]) -> None:
    stopping = list(channels)
    for channel in stopping:
        channel.stop()
    deadline = time.monotonic() + LAST_WORD_S
    hanging = [one.name for one in stopping if not one.join(max(0.0, deadline - time.monotonic()))]
    if hanging:
        log.warning("stopping in mid-delivery: it will be sent again", channels=hanging)
