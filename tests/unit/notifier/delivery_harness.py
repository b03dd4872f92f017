"""Channels whose transport does as it is told, and a notifier of such channels whose clock the test moves."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from services.notifier import channel_supervisor
from services.notifier.channel_supervisor import ChannelSupervisor
from services.notifier.channels.base import Transport, TransportError
from services.notifier.channels.watchdog_ping import LoopbackTransport
from services.notifier.channels.webhook import WebhookTransport
from services.notifier.content.message import NotificationMessage
from services.notifier.delivery import channel_state, worker
from services.notifier.delivery.channel import Channel
from services.notifier.delivery.channel_state import ChannelState, DeliveryContext
from services.notifier.delivery.mark_timer import MarkTimer
from shared.runtime import clock
from shared.schema.alerts import Notice
from shared.store.database import Database
from tests.unit.notifier.config import documents
from tests.unit.notifier.fake_receivers import FakeContent
from tests.unit.notifier.planning_harness import PlanningHarness

SECOND = timedelta(seconds=1)


class FakeTransport:
    """A transport that fails as `fails` says and remembers what it was given."""

    takes_batches = False

    def __init__(self, fails: Callable[[Notice], Exception | None] = lambda _: None) -> None:
        self.sent: list[tuple[str, str]] = []
        self.keys: list[str] = []
        self.messages: list[NotificationMessage] = []
        self.fails = fails

    def send(self, message: NotificationMessage) -> None:
        """Take a message."""
        self.keys.append(message.key)
        if error := self.fails(message.notifications[0]):
            raise error
        self.messages.append(message)
        self.sent += [(notice.id, notice.change) for notice in message.notifications]

    def last_response(self) -> str:
        """Return what no test asks for."""
        return ""


class BatchingFakeTransport(FakeTransport):
    """One that takes several notices in one message."""

    takes_batches = True


def make_channel(
    database: Database,
    transport: FakeTransport | WebhookTransport,
    name: str = "webhook",
    lanes: int = 1,
    mark_timer: MarkTimer | None = None,
) -> Channel:
    """Return a channel whose workers share a transport."""
    timer = mark_timer or MarkTimer()
    context = DeliveryContext(database, "here", lambda: 0.0, "http://page", lambda _: None, timer)
    return Channel(ChannelState(name, None, context), [transport] * lanes, context)


def deliver_due(channel: Channel) -> timedelta:
    """Let a channel's first worker send what is due."""
    return channel.workers[0].deliver_due()


def retryable_error(_notice: Notice) -> Exception:
    return TransportError("busy", permanent=False)


class FakeClock:
    """The hands of every clock; retries have no jitter."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
        self.now = self.begin = now
        monkeypatch.setattr(clock, "now", lambda: self.now)
        for module in (worker, channel_state):
            monkeypatch.setattr(module, "time", self)
        monkeypatch.setattr(channel_supervisor, "random", self)

    def random(self) -> float:
        """Return the least of all numbers."""
        return 0.0

    def monotonic(self) -> float:
        """Return the seconds since the beginning."""
        return (self.now - self.begin).total_seconds()


class DeliveryHarness(PlanningHarness):
    """A notifier without threads: its channels take turns, second by second."""

    outlets: ChannelSupervisor

    def __init__(self, database: Database, text: str, hands: FakeClock, **transports: FakeTransport) -> None:
        self.hands = hands
        self.transports = transports
        super().__init__(database, text, hands.now)

    def make_channels(self, text: str) -> ChannelSupervisor:
        """Return channels that send through the fake transports."""

        def build(name: str, _section: object, _content: object) -> Transport:
            return self.transports.get(name) or LoopbackTransport()

        return ChannelSupervisor(
            documents(text),
            lambda _: FakeContent(),
            self.database,
            "here",
            "http://page",
            lambda: None,
            build,
        )

    def step(self) -> None:
        """Dispatch, as woken now, and deliver."""
        self.hands.now = self.now
        super().step()

    def deliver(self) -> None:
        """Let every channel send what is handed over and what is due."""
        for name in self.transports:
            for each in self.outlets.channels[name].workers:
                each.deliver_due()

    def advance(self, span: timedelta, *, every: timedelta = SECOND, downtime: bool = False) -> None:
        """Let time pass in steps of `every`; what fails in it wakes the dispatcher, too."""
        end = self.now + span
        while self.now < end:
            self.now = self.hands.now = min(end, self.now + every)
            if not downtime:
                self.step()
                self.step()

    def sent(self, name: str) -> list[str]:
        """Return what a channel got of alerts other than those about channels."""
        return [f"{alert} {change}" for alert, change in self.transports[name].sent if len(alert) < 32]

    def channel_alerts(self, name: str) -> list[str]:
        """Return what a channel got of alerts about channels."""
        return [change for alert, change in self.transports[name].sent if len(alert) == 32]


DAWN = datetime(2026, 1, 31, 6, tzinfo=UTC)


def permanent_error(_notice: Notice) -> Exception:
    return TransportError("gone", permanent=True)
