"""Several lanes of a channel, batches, what was held: the right messages in order, and how late they are."""

import random
import threading
from datetime import UTC, datetime, timedelta

import pytest

from services.notifier.channel_supervisor import LeaseRenewer
from services.notifier.channels.base import TransportError
from services.notifier.content.message import NotificationMessage
from services.notifier.delivery import pacing
from services.notifier.planning.planner import SETTLE_TIME
from shared.schema.alerts import Change
from shared.store.database import Database
from tests.support import time_until
from tests.unit.notifier.delivery_harness import (
    DAWN,
    SECOND,
    BatchingFakeTransport,
    DeliveryHarness,
    FakeClock,
    FakeTransport,
    deliver_due,
    make_channel,
)
from tests.unit.notifier.fake_receivers import make_notice, states, write_deliveries
from tests.unit.notifier.planning_harness import HOUR, MINUTE, channels

CHANGES: tuple[Change, ...] = ("opened", "raised", "lowered", "raised", "resolved")


@pytest.mark.parametrize("lanes", [1, 2, 4, 8])
@pytest.mark.parametrize("batch", [None, "all"])
@pytest.mark.parametrize("kind", [FakeTransport, BatchingFakeTransport])
def test_order_per_alert_with_many_workers(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    lanes: int,
    batch: str | None,
    kind: type[FakeTransport],
) -> None:
    """With any number of workers and random failures, each alert arrives whole and in order."""
    monkeypatch.setattr(pacing, "FIRST_DELAY", timedelta(milliseconds=4))
    chance = random.Random(lanes)
    lock = threading.Lock()

    class Shaky(kind):  # type: ignore[misc, valid-type]
        def send(self, message: NotificationMessage) -> None:
            with lock:
                if chance.random() < 0.15:
                    raise TransportError("busy", permanent=False)
                super().send(message)

    transport = Shaky()
    alerts = [f"a{number}" for number in range(12)]
    write_deliveries(database, "webhook", *(make_notice("opened", alert=one) for one in alerts), batch=batch)
    sending = make_channel(database, transport, lanes=lanes)
    leases = LeaseRenewer(lambda: sending.lease_owners, database)
    leases.start()
    sending.start()
    for change in CHANGES[1:]:
        write_deliveries(
            database, "webhook", *(make_notice(change, alert=one) for one in alerts), batch=batch
        )
        sending.wake()
    time_until(lambda: all(states(database, one) == ["SENT"] * len(CHANGES) for one in alerts))
    sending.stop()
    assert sending.join(5)
    leases.close()
    for one in alerts:
        assert [change for alert, change in transport.sent if alert == one] == [*CHANGES]


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_large_batch_is_one_message(database: Database, lanes: int) -> None:
    """A batch larger than a claim is not split."""
    transport = BatchingFakeTransport()
    write_deliveries(
        database, "webhook", *(make_notice(alert=f"a{number}") for number in range(150)), batch="night/{}"
    )
    write_deliveries(database, "webhook", make_notice(alert="b1"))
    deliver_due(make_channel(database, transport, lanes=lanes))
    assert sorted(len(message.notifications) for message in transport.messages) == [1, 150]
    assert max(transport.messages, key=lambda one: len(one.notifications)).group == "night/{}"


def test_a_batch_for_a_transport_without_batches(database: Database) -> None:
    """A transport that takes one notification per message gets one message each."""
    transport = FakeTransport()
    write_deliveries(
        database, "webhook", *(make_notice(alert=f"a{number}") for number in range(5)), batch="night/{}"
    )
    deliver_due(make_channel(database, transport))
    assert [len(message.notifications) for message in transport.messages] == [1] * 5


def test_a_temporary_failure_stops_the_claim(database: Database) -> None:
    """After a temporary failure the rest of the claim is not sent, even with `Retry-After: 0`."""
    failures = [TransportError("busy", permanent=False, retry_after=0)]
    transport = FakeTransport(lambda _: failures.pop() if failures else None)
    write_deliveries(database, "webhook", make_notice("opened"), make_notice("raised"), batch="b")
    deliver_due(make_channel(database, transport))
    assert transport.sent == []


QUIET = channels("desk") + "routes: [{ channels: [desk], quiet: { from: '22:00', until: '07:00' } }]"


@pytest.fixture
def night(database: Database, monkeypatch: pytest.MonkeyPatch) -> DeliveryHarness:
    return DeliveryHarness(
        database,
        QUIET,
        FakeClock(monkeypatch, datetime(2026, 1, 31, 23, tzinfo=UTC)),
        desk=BatchingFakeTransport(),
    )


def test_a_digest_after_quiet_hours_is_not_late(night: DeliveryHarness) -> None:
    """What quiet hours held is sent in one message and not called late."""
    for number in range(120):
        night.open(f"a{number}", severity="LOW")
    night.now += 8 * HOUR - 2 * SECOND
    night.advance(4 * SECOND)
    (digest,) = night.transports["desk"].messages
    assert len(digest.notifications) == 120
    assert digest.late < 2 * SECOND


def test_held_and_released_by_a_raised_alert_is_not_late(night: DeliveryHarness) -> None:
    """A held notification that a more urgent one releases is not called late."""
    night.open("a1", severity="MEDIUM")
    night.now += 3 * HOUR
    night.change("raised", "a1")
    assert night.sent("desk") == ["a1 opened", "a1 raised"]
    assert [message.late for message in night.transports["desk"].messages] == [timedelta(0)] * 2


def test_lateness_counts_from_the_end_of_quiet_hours(night: DeliveryHarness) -> None:
    """A held notification that is sent later is late by the time since quiet hours ended."""
    night.open("a1", severity="LOW")
    night.now += 9 * HOUR
    night.step()
    assert night.transports["desk"].messages[0].late == HOUR


def test_lateness_counts_from_the_event(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notification that was not held is late by the time since its event."""
    desk = DeliveryHarness(database, QUIET, FakeClock(monkeypatch, DAWN), desk=FakeTransport())
    desk.open("a1", dispatch=False)
    desk.now += 7 * MINUTE
    desk.step()
    desk.now += SETTLE_TIME
    desk.step()
    assert desk.transports["desk"].messages[0].late == 7 * MINUTE + SETTLE_TIME
