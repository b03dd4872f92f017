"""Handing over: what the dispatcher leases for a channel is sent once, or released."""

from collections.abc import Iterable
from datetime import timedelta

import pytest
from sqlalchemy import select

from services.notifier.channels.base import TransportError
from services.notifier.delivery.channel import CLAIM_SIZE, Channel
from shared.runtime import clock
from shared.schema.alerts import Notice
from shared.store import deliveries
from shared.store.database import Database
from shared.store.deliveries import Claim
from shared.store.tables import notifications
from tests.support import time_until
from tests.unit.notifier.delivery_harness import (
    DAWN,
    SECOND,
    BatchingFakeTransport,
    DeliveryHarness,
    FakeClock,
    FakeTransport,
    make_channel,
)
from tests.unit.notifier.fake_receivers import make_notice, states, write_deliveries
from tests.unit.notifier.planning_harness import channels

TEXT = channels("desk") + "routes: [{ channels: [desk], repeat: 0 }]"


def lease(database: Database, channel: Channel) -> Claim | None:
    """Lease what is due, as the dispatcher does."""
    with database.write() as connection:
        return channel.lease_due(connection)


def leased(database: Database) -> list[bool]:
    """Return whether each row of the outbox is leased."""
    with database.read() as connection:
        owners = connection.execute(select(notifications.c.leaseOwner).order_by(notifications.c.id))
        return [owner is not None for owner in owners.scalars()]


def alerts(claims: Iterable[Claim | None]) -> list[str]:
    """Return the alerts of some claims."""
    return [one.notice.id for claim in claims if claim for one in claim.deliveries]


def busy(_notice: Notice) -> Exception:
    return TransportError("busy", permanent=False)


def test_planned_and_leased_together(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the dispatcher's one transaction the row is leased and in the channel's queue."""
    transport = FakeTransport()
    desk = DeliveryHarness(database, TEXT, FakeClock(monkeypatch, DAWN), desk=transport)
    desk.open("a1", dispatch=False)
    desk.dispatcher.dispatch_batch(desk.now, is_woken=True)
    assert leased(database) == [True]
    assert len(desk.outlets.lease_owners) == 1
    desk.deliver()
    assert transport.sent == [("a1", "opened")]
    assert (leased(database), desk.outlets.lease_owners) == ([False], [])


def test_a_dispatcher_that_is_killed_leases_nothing_for_long(database: Database) -> None:
    """What was leased but never handed over is due again when the lease ends."""
    channel = make_channel(database, FakeTransport())
    write_deliveries(database, "webhook", make_notice(alert="a1"))
    assert alerts([lease(database, channel)]) == ["a1"]
    later = clock.now() + deliveries.LEASE_LENGTH + SECOND
    with database.write() as connection:
        assert len(deliveries.claim(connection, "webhook", "next", later)) == 1


def test_no_more_than_the_workers_can_take(database: Database) -> None:
    """A channel whose only worker has something in hand is left to that worker's sweep."""
    transport = FakeTransport()
    channel = make_channel(database, transport)
    write_deliveries(database, "webhook", make_notice(alert="a1"))
    channel.hand_over(lease(database, channel))
    write_deliveries(database, "webhook", make_notice(alert="a2"))
    assert lease(database, channel) is None
    channel.workers[0].deliver_due()
    assert [alert for alert, _ in transport.sent] == ["a1", "a2"]


def test_order_of_an_alert(database: Database) -> None:
    """What follows of an alert is not leased while an earlier delivery of it is in hand."""
    channel = make_channel(database, FakeTransport(), lanes=2)
    write_deliveries(database, "webhook", make_notice("opened", alert="a1"))
    first = lease(database, channel)
    write_deliveries(database, "webhook", make_notice("resolved", alert="a1"), make_notice(alert="a2"))
    assert alerts([first, lease(database, channel)]) == ["a1", "a2"]


def test_a_paused_channel_gets_nothing(database: Database) -> None:
    """While a channel is paused nothing is leased, and what was handed over is released unsent."""
    transport = FakeTransport(busy)
    channel = make_channel(database, transport, lanes=2)
    write_deliveries(database, "webhook", make_notice(alert="a1"))
    channel.hand_over(lease(database, channel))
    write_deliveries(database, "webhook", make_notice(alert="a2"))
    channel.hand_over(lease(database, channel))
    for worker in channel.workers:
        assert worker.deliver_due() > timedelta(0)
    assert len(transport.keys) == 1
    assert lease(database, channel) is None
    assert (leased(database), channel.lease_owners) == ([False, False], ())


def test_past_the_rate_limit_nothing_is_leased(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is over the rate limit waits for the digest, which a worker makes by itself."""
    text = "channels: { desk: { url: 'http://127.0.0.1:9/', perMinute: 1 } }\nroutes: [{ channels: [desk] }]"
    transport = BatchingFakeTransport()
    desk = DeliveryHarness(database, text, FakeClock(monkeypatch, DAWN), desk=transport)
    for number in range(3):
        desk.open(f"a{number}")
    assert desk.outlets.lease_owners == []
    desk.advance(61 * SECOND)
    assert [len(message.notifications) for message in transport.messages] == [1, 2]


def test_stopped_before_a_worker_took_it(database: Database) -> None:
    """A channel that is replaced releases what was handed over, so that its successor sends it at once."""
    transport, successor = FakeTransport(), FakeTransport()
    channel = make_channel(database, transport)
    write_deliveries(database, "webhook", make_notice(alert="a1"))
    channel.hand_over(lease(database, channel))
    channel.stop()
    channel.start()
    assert channel.join(5)
    assert (leased(database), channel.lease_owners) == ([False], ())
    make_channel(database, successor).workers[0].deliver_due()
    assert (transport.sent, successor.sent) == ([], [("a1", "opened")])


def test_more_than_one_claim_can_hold(database: Database) -> None:
    """A burst is handed over up to the size of a claim; the worker finds the rest."""
    transport = FakeTransport()
    channel = make_channel(database, transport)
    count = CLAIM_SIZE + 5
    write_deliveries(database, "webhook", *(make_notice(alert=f"a{number}") for number in range(count)))
    claim = lease(database, channel)
    assert len(alerts([claim])) == CLAIM_SIZE
    channel.hand_over(claim)
    channel.start()
    time_until(lambda: states(database, f"a{count - 1}") == ["SENT"])
    channel.stop()
    assert channel.join(5)
    assert [alert for alert, _ in transport.sent] == [f"a{number}" for number in range(count)]
