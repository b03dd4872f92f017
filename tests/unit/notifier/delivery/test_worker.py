"""A channel's deliveries out of a real outbox, to a transport that does as it is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import update

from services.notifier.channel_supervisor import LeaseRenewer
from services.notifier.channels.base import TransportError
from services.notifier.channels.webhook import WebhookTransport
from services.notifier.delivery import worker
from services.notifier.delivery.channel import Channel
from services.notifier.delivery.worker import split_into_messages
from shared.runtime import clock
from shared.schema.alerts import Change
from shared.store import deliveries
from shared.store.database import Database
from shared.store.deliveries import Delivery
from shared.store.tables import notifications
from tests.support import time_until
from tests.unit.notifier.delivery_harness import FakeTransport, deliver_due, make_channel, retryable_error
from tests.unit.notifier.fake_receivers import NOON, WebhookReceiver, make_notice, states, write_deliveries


@contextmanager
def running(channel: Channel) -> Iterator[Channel]:
    """Let the channel's thread run."""
    channel.start()
    yield channel
    channel.stop()
    assert channel.join(5)


def test_due_deliveries_are_sent_and_marked(database: Database) -> None:
    """Each due delivery is sent with a key of its own and marked as sent."""
    transport = FakeTransport()
    write_deliveries(database, "webhook", make_notice(alert="a1"), make_notice(alert="a2"))
    deliver_due(make_channel(database, transport))
    assert transport.sent == [("a1", "opened"), ("a2", "opened")]
    assert len(set(transport.keys)) == 2
    assert states(database, "a1") == states(database, "a2") == ["SENT"]


def test_order_per_alert(database: Database) -> None:
    """Notifications of an alert are sent in the order of its events."""
    transport = FakeTransport()
    changes: tuple[Change, ...] = ("opened", "raised", "resolved")
    write_deliveries(
        database, "webhook", *(make_notice(change, alert=name) for change in changes for name in ("a1", "a2"))
    )
    deliver_due(make_channel(database, transport))
    for alert in ("a1", "a2"):
        assert [change for name, change in transport.sent if name == alert] == list(changes)


def test_only_its_own_channel(database: Database) -> None:
    """A worker takes no deliveries of another channel."""
    transport = FakeTransport()
    write_deliveries(database, "email", make_notice())
    deliver_due(make_channel(database, transport))
    assert transport.sent == []


def test_permanent_failure(database: Database) -> None:
    """A rejected delivery is not retried and does not block the others."""
    transport = FakeTransport(lambda n: TransportError("gone", permanent=True) if n.id == "a1" else None)
    write_deliveries(database, "webhook", make_notice(alert="a1"), make_notice(alert="a2"))
    deliver_due(make_channel(database, transport))
    assert states(database, "a1") == ["FAILED"]
    assert states(database, "a2") == ["SENT"]


def test_temporary_failure_releases_the_rest(database: Database) -> None:
    """The channel pauses, and the deliveries that were not tried are free again."""
    transport = FakeTransport(retryable_error)
    write_deliveries(database, "webhook", make_notice(alert="a1"), make_notice(alert="a2"))
    resting = make_channel(database, transport)
    assert timedelta(0) < deliver_due(resting) <= timedelta(seconds=0.5)
    assert len(transport.keys) == 1
    with database.write() as connection:
        free = deliveries.claim(connection, "webhook", "other", clock.now())
    assert [delivery.notice.id for delivery in free] == ["a2"]


def test_one_delivery_that_always_fails(database: Database) -> None:
    """A delivery that always fails does not block the others."""
    transport = FakeTransport(lambda n: retryable_error(n) if n.id == "a1" else None)
    write_deliveries(
        database, "webhook", make_notice(alert="a1"), *(make_notice(alert=f"b{i}") for i in range(5))
    )
    with running(make_channel(database, transport)):
        time_until(lambda: len(transport.sent) == 5, 3)
    assert states(database, "a1") == ["PENDING"]


def test_retries_have_the_same_key(database: Database) -> None:
    """A retry has the idempotency key of the first attempt."""
    failures = [TransportError("busy", permanent=False, retry_after=0.05)]
    transport = FakeTransport(lambda _: failures.pop() if failures else None)
    write_deliveries(database, "webhook", make_notice())
    with running(make_channel(database, transport)):
        time_until(lambda: transport.sent)
    assert len(transport.keys) == 2
    assert len(set(transport.keys)) == 1


def test_given_up_after_a_day(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery that fails for more than 24 hours is marked as failed."""
    write_deliveries(database, "webhook", make_notice())
    tomorrow = clock.now() + timedelta(hours=25)
    monkeypatch.setattr(clock, "now", lambda: tomorrow)
    deliver_due(make_channel(database, FakeTransport(retryable_error)))
    assert states(database) == ["FAILED"]


@pytest.mark.filterwarnings("default")
def test_unexpected_transport_error(database: Database) -> None:
    """An unexpected error of a transport is retried like a temporary failure."""
    failures: list[Exception] = [ZeroDivisionError("surprise")]
    transport = FakeTransport(lambda _: failures.pop() if failures else None)
    write_deliveries(database, "webhook", make_notice())
    with running(make_channel(database, transport)) as alive:
        time_until(lambda: transport.sent)
        assert alive.check()


def test_exited_thread_fails_the_check(database: Database) -> None:
    """The check of a channel whose thread has exited raises."""
    with running(make_channel(database, FakeTransport())) as ended:
        assert ended.check() == "idle"
    with pytest.raises(RuntimeError):
        ended.check()


def test_woken_and_without_a_wake(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wake sends, however far the next sweep is; without one the sweep finds what is due."""
    transport = FakeTransport()
    with monkeypatch.context() as patch:
        patch.setattr(worker, "SWEEP_INTERVAL", timedelta(hours=1))
        with running(make_channel(database, transport)) as woken:
            time_until(lambda: woken.check() == "idle")
            write_deliveries(database, "webhook", make_notice(alert="a1"))
            woken.wake()
            time_until(lambda: transport.sent)
    with running(make_channel(database, transport)):
        write_deliveries(database, "webhook", make_notice(alert="a2"))
        time_until(lambda: len(transport.sent) == 2)


def test_hanging_receiver(database: Database, receiver: WebhookReceiver) -> None:
    """A delivery in flight keeps its lease, and other channels are not delayed."""
    receiver.answering.clear()
    transport = FakeTransport()
    hanging = make_channel(database, WebhookTransport(receiver.url))
    other = make_channel(database, transport, "email")
    write_deliveries(database, "webhook", make_notice(alert="a1"))
    with running(other):
        hanging.start()
        leases = LeaseRenewer(lambda: hanging.lease_owners + other.lease_owners, database)
        leases.start()
        time_until(lambda: receiver.bodies)
        write_deliveries(database, "email", make_notice(alert="a2"))
        other.wake()
        time_until(lambda: transport.sent)  # while the receiver of the first channel hangs
        threading.Event().wait(deliveries.LEASE_LENGTH.total_seconds() + 0.5)
        with database.write() as connection:
            assert deliveries.claim(connection, "webhook", "thief", clock.now()) == []
        receiver.answering.set()
        time_until(lambda: states(database, "a1") == ["SENT"])
        leases.check()
        leases.close()
        hanging.stop()
        assert hanging.join(5)


def test_receiver_down_and_up_again(database: Database) -> None:
    """A receiver that was down gets every notification once."""
    first = WebhookReceiver()
    write_deliveries(database, "webhook", make_notice(alert="a1"))
    with running(make_channel(database, WebhookTransport(first.url))) as sending:
        time_until(lambda: states(database, "a1") == ["SENT"])
        first.close()
        write_deliveries(database, "webhook", make_notice(alert="a2"), make_notice(alert="a3"))
        sending.wake()
        time_until(lambda: "paused" in sending.check())
        second = WebhookReceiver(first.port)
        time_until(lambda: len(second.bodies) == 2)
        time_until(lambda: states(database, "a3") == ["SENT"])
        second.close()
    assert sorted(body["id"] for body in second.bodies) == ["a2", "a3"]


def test_clock_set_back(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that was set back delays neither new nor released deliveries."""
    transport = FakeTransport()
    write_deliveries(database, "webhook", make_notice(alert="new"), make_notice(alert="leased"))
    with database.write() as connection:
        deliveries.claim(connection, "webhook", "killed", clock.now())
        deliveries.release(connection, [1])
    earlier = clock.now() - timedelta(minutes=20)
    monkeypatch.setattr(clock, "now", lambda: earlier)
    deliver_due(make_channel(database, transport))
    assert {alert for alert, _ in transport.sent} == {"new", "leased"}


def test_unreadable_notification(database: Database) -> None:
    """A stored notification that cannot be decoded fails and does not block the others."""
    transport = FakeTransport()
    write_deliveries(database, "webhook", make_notice(alert="a1"), make_notice(alert="a2"))
    with database.write() as connection:
        connection.execute(update(notifications).where(notifications.c.id == 1).values(body="{}"))
    deliver_due(make_channel(database, transport))
    assert transport.sent == [("a2", "opened")]
    assert states(database, "a1") == ["FAILED"]


def test_unexpected_worker_error(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker survives any error and reports it until it works again."""
    transport = FakeTransport()
    sending = make_channel(database, transport)
    next_due = deliveries.next_attempt_due

    def broken(*_: object) -> None:
        raise RuntimeError("unheard of")

    monkeypatch.setattr(deliveries, "next_attempt_due", broken)
    with running(sending):
        time_until(lambda: fails(sending))
        monkeypatch.setattr(deliveries, "next_attempt_due", next_due)
        write_deliveries(database, "webhook", make_notice())
        sending.wake()
        time_until(lambda: transport.sent)
        time_until(lambda: not fails(sending))


def fails(sending: Channel) -> bool:
    try:
        sending.check()
    except RuntimeError:
        return True
    return False


def delivery(number: int, alert: str, change: Change = "opened", *, attempts: int = 0) -> Delivery:
    return Delivery(
        id=number,
        channel="hook",
        notice=make_notice(change, alert=alert),
        attempts=attempts,
        created_at=NOON,
        event_id=number,
        batch="all",
    )


def test_failed_before_comes_last() -> None:
    """Deliveries that failed before go last, and newer ones of the same alert after them."""
    claimed = [delivery(1, "a1", attempts=3), delivery(2, "a2"), delivery(3, "a1", "resolved")]
    sent = split_into_messages(claimed, bundles=False, is_digest=False)
    assert [[one.id for one in parcel] for parcel in sent] == [[2], [1], [3]]


def test_digest_needs_a_transport_with_batches() -> None:
    """A digest is one message if the transport takes batches, else one each."""
    claimed = [msgspec.structs.replace(delivery(number, f"a{number}"), batch=None) for number in (1, 2)]
    assert split_into_messages(claimed, bundles=True, is_digest=True) == [claimed]
    assert split_into_messages(claimed, bundles=False, is_digest=True) == [[claimed[0]], [claimed[1]]]
