"""Channel supervisor: starts, replaces and stops the enabled channels, and renews their leases."""

import random
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from services.notifier.channels.base import Transport
from services.notifier.channels.registry import build_transport, describe_channel
from services.notifier.content.message_view import MessageContent
from services.notifier.content.rendering import ContentFactory
from services.notifier.delivery.channel import Channel
from services.notifier.delivery.channel_state import (
    OUTCOMES,
    ChannelState,
    DeliveryContext,
    resolve_alerts_of_removed_channels,
)
from services.notifier.delivery.mark_timer import MarkTimer
from shared.runtime import clock
from shared.runtime.config.documents import Documents
from shared.runtime.config.mute_config import parse_mute_config
from shared.runtime.config.notifications import ChannelSection
from shared.schema.channel_status import ChannelStatus
from shared.schema.muting import NO_MUTES
from shared.schema.watchdog import LOOPBACK_CHANNEL, WATCHDOG_URL_CHANNEL
from shared.store import deliveries
from shared.store.database import Database
from shared.store.deliveries import Claim
from shared.store.outbox import suppress_unserved

log = structlog.get_logger()

DEFAULT_MESSAGES_PER_MINUTE = 30
"""Default `perMinute` of channels that batch: further messages are sent as a digest."""
STOP_TIMEOUT_S = 1.0
"""How long to wait for deliveries in flight when a channel stops."""
RENEW_INTERVAL_S = 1.0
"""Well below the length of a lease, so that one late renewal does no harm."""

TransportBuilder = Callable[[str, ChannelSection, MessageContent], Transport]
"""Returns the transport of a channel. Raises InvalidError if its configuration is invalid."""


class ChannelSupervisor:
    """Serves every enabled channel from `start` until it is closed.

    `wake_dispatcher` is called when a worker has opened an alert or written deliveries to a fallback; `owner`
    identifies this process in leases.
    """

    def __init__(
        self,
        documents: Documents,
        contents: ContentFactory,
        database: Database,
        owner: str,
        dashboard_url: str,
        wake_dispatcher: Callable[[], None],
        build: TransportBuilder = build_transport,
    ) -> None:
        self._database = database
        self._mute_config = NO_MUTES
        self._mark_timer = MarkTimer()
        self._context = DeliveryContext(
            *(database, owner, random.random, dashboard_url, self._wake),
            *(self._mark_timer, lambda: self._mute_config),
        )
        self._wake_dispatcher = wake_dispatcher
        self._build = build
        self._sections: Mapping[str, ChannelSection] = {}
        """The section that each channel was built from."""
        self.channels: Mapping[str, Channel] = {}
        """Replaced as a whole at a reload."""
        self.replace_channels(documents, contents)

    def start(self) -> None:
        """Suppress what an earlier process left for channels that are gone, then start all channels."""
        self._suppress_unserved()
        self._mark_timer.start()
        for channel in self.channels.values():
            channel.start()
        if len(self.channels) == 1:
            log.warning("no channels configured: notifications are disabled")

    def replace_channels(
        self, documents: Documents, contents: ContentFactory
    ) -> tuple[list[Channel], list[Channel]]:
        """Build new and changed channels; return these, and those that were removed or replaced.

        Unchanged channels keep running, with their templates. Raises InvalidError if one cannot be built;
        then nothing changes.
        """
        wanted = _configured_channels(documents)
        changed = [name for name, section in wanted.items() if self._sections.get(name) != section]
        mute_config = parse_mute_config(documents)
        built = {name: self._build_channel(name, wanted[name], contents(name)) for name in changed}
        kept = {name: one for name, one in self.channels.items() if name in wanted and name not in built}
        removed = [one for name, one in self.channels.items() if name not in kept]
        self.channels, self._sections, self._mute_config = kept | built, wanted, mute_config
        return [*built.values()], removed

    def _build_channel(self, name: str, section: ChannelSection, content: MessageContent) -> Channel:
        transports = [self._build(name, section, content) for _ in range(section.concurrency)]
        default = DEFAULT_MESSAGES_PER_MINUTE if transports[0].takes_batches else None
        is_own = name in (LOOPBACK_CHANNEL, WATCHDOG_URL_CHANNEL)
        state = ChannelState(name, None if is_own else section.per_minute or default, self._context)
        return Channel(state, transports, self._context, *describe_channel(name, section))

    def exchange(self, added: Iterable[Channel], removed: Collection[Channel]) -> None:
        """Start the added channels and stop the removed ones; suppress what waits for those that are gone."""
        # They count as served from here on, even if the database is locked now.
        for channel in added:
            channel.start()
        try:
            self._suppress_unserved()
        finally:
            _stop_all(removed)

    def lease_due(self, connection: Connection, names: Iterable[str]) -> list[Claim]:
        """Lease what is due at once on these channels, where a worker is free."""
        served = [channel for name in names if (channel := self.channels.get(name))]
        return [claim for channel in served if (claim := channel.lease_due(connection))]

    def hand_over(self, names: Iterable[str], claims: Iterable[Claim]) -> None:
        """Give the claims to the workers; wake those of the other channels: what waits there may be due."""
        found = {claim.channel: claim for claim in claims}
        for name in names:
            if channel := self.channels.get(name):
                channel.hand_over(found.get(name))

    def count_suppressed(self, channel: str, reason: str) -> None:
        """Count a delivery that is not sent on purpose."""
        OUTCOMES.labels(channel, "suppressed", reason).inc()

    def _wake(self, names: Collection[str]) -> None:
        """Wake these channels and the dispatcher: a worker wrote deliveries to them, or an alert."""
        if not self.channels.keys() >= {*names}:
            # A fallback that was planned has been removed from the config since.
            self._suppress_unserved()
        self.hand_over(names, ())
        self._wake_dispatcher()

    def _suppress_unserved(self) -> None:
        with self._database.write() as connection:
            suppress_unserved(connection, self.channels)
            resolve_alerts_of_removed_channels(connection, self.channels, clock.now())

    @property
    def lease_owners(self) -> list[str]:
        """Owners of the leases of deliveries that are handed over or in flight."""
        return [owner for channel in self.channels.values() for owner in channel.lease_owners]

    def statuses(self, now: datetime) -> list[ChannelStatus]:
        """Return the status of each configured channel at `now`, for the page."""
        own = (LOOPBACK_CHANNEL, WATCHDOG_URL_CHANNEL)
        return [channel.status(now) for name, channel in self.channels.items() if name not in own]

    def check(self) -> dict[str, str]:
        """Return the status of each channel; raise RuntimeError with the names and errors of broken ones."""
        self._mark_timer.check()
        statuses, failing = {}, []
        for name, channel in self.channels.items():
            try:
                statuses[name] = channel.check()
            except Exception as error:  # noqa: BLE001 - any error of a channel is shown in /health
                failing.append(f"{name}: {type(error).__name__}: {error}")
        if failing:
            raise RuntimeError("; ".join(failing))
        return statuses

    def close(self) -> None:
        """Stop; deliveries in flight may finish."""
        _stop_all(self.channels.values())
        self._mark_timer.close()


def _configured_channels(documents: Documents) -> dict[str, ChannelSection]:
    """Return the channels to serve, including those of the watchdog."""
    beat = documents.notifications.watchdog.url
    own = {LOOPBACK_CHANNEL: ChannelSection()} | (
        {WATCHDOG_URL_CHANNEL: ChannelSection(url=beat)} if beat else {}
    )
    return {**documents.channels, **own}


def _stop_all(channels: Collection[Channel]) -> None:
    for channel in channels:
        channel.stop()
    deadline = time.monotonic() + STOP_TIMEOUT_S
    hanging = [one.name for one in channels if not one.join(max(0.0, deadline - time.monotonic()))]
    if hanging:
        log.warning("stopped with deliveries in flight; they will be retried", channels=hanging)


class LeaseRenewer:
    """Renews the leases whose owners `held` returns, once a second from `start` until it is closed."""

    def __init__(self, held: Callable[[], Sequence[str]], database: Database) -> None:
        self._held = held
        self._database = database
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(RENEW_INTERVAL_S):
            held = self._held()
            if not held:
                continue
            try:
                with self._database.write() as connection:
                    for lease in held:
                        deliveries.renew(connection, lease, clock.now())
            except SQLAlchemyError as error:
                log.warning("cannot renew leases", error=str(error))

    def check(self) -> None:
        """Raise RuntimeError if leases are no longer renewed."""
        if not self._thread.is_alive():
            raise RuntimeError("lease renewal thread has exited")

    def close(self) -> None:
        """Stop renewing."""
        self._closed.set()
        self._thread.join(timeout=1)
