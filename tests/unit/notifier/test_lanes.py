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
def test_however_many_lanes_and_failures_each_alerts_order_is_kept_and_nothing_is_lost(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    lanes: int,
    batch: str | None,
    kind: type[FakeTransport],
) -> None:
    monkeypatch.setattr(pacing, "FIRST_DELAY", timedelta(milliseconds=4))
    chance = random.Random(lanes)
    lock = threading.Lock()

    class Shaky(kind):  # type: ignore[misc, valid-type]
        def send(self, message: NotificationMessage) -> None:
            with lock:
                if chance.random() < 0.15:
                    raise TransportError("busy", permanent=False)
                super().send(message)

    told = Shaky()
    alerts = [f"a{number}" for number in range(12)]
    write_deliveries(database, "webhook", *(make_notice("opened", alert=one) for one in alerts), batch=batch)
    sending = make_channel(database, told, lanes=lanes)
    leases = LeaseRenewer(lambda: sending.lease_owners, database)
    leases.start()
    sending.start()
    for change in CHANGES[1:]:
        write_deliveries(
            database, "webhook", *(make_notice(change, alert=one) for one in alerts), batch=batch
        )
        sending.wake()
    time_until(lambda: all(states(database, one) == ["SENT"] * len(CHANGES) for one in alerts), 20)
    sending.stop()
    assert sending.join(5)
    leases.close()
    for one in alerts:
        assert [change for alert, change in told.sent if alert == one] == [*CHANGES]


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_batch_is_one_message_however_large_it_is(database: Database, lanes: int) -> None:
    told = BatchingFakeTransport()
    write_deliveries(
        database, "webhook", *(make_notice(alert=f"a{number}") for number in range(150)), batch="night/{}"
    )
    write_deliveries(database, "webhook", make_notice(alert="b1"))
    deliver_due(make_channel(database, told, lanes=lanes))
    assert sorted(len(message.notifications) for message in told.messages) == [1, 150]
    assert max(told.messages, key=lambda one: len(one.notifications)).group == "night/{}"


def test_for_transports_that_take_one_at_a_time_a_batch_is_as_many_messages(database: Database) -> None:
    told = FakeTransport()
    write_deliveries(
        database, "webhook", *(make_notice(alert=f"a{number}") for number in range(5)), batch="night/{}"
    )
    deliver_due(make_channel(database, told))
    assert [len(message.notifications) for message in told.messages] == [1] * 5


def test_what_may_pass_stops_the_lane_though_the_receiver_asks_for_no_pause(database: Database) -> None:
    failures = [TransportError("busy", permanent=False, retry_after=0)]
    told = FakeTransport(lambda _: failures.pop() if failures else None)
    write_deliveries(database, "webhook", make_notice("opened"), make_notice("raised"), batch="b")
    deliver_due(make_channel(database, told))
    assert told.sent == []


QUIET = channels("desk") + "routes: [{ channels: [desk], quiet: { from: '22:00', until: '07:00' } }]"


@pytest.fixture
def night(database: Database, monkeypatch: pytest.MonkeyPatch) -> DeliveryHarness:
    return DeliveryHarness(
        database,
        QUIET,
        FakeClock(monkeypatch, datetime(2026, 1, 31, 23, tzinfo=UTC)),
        desk=BatchingFakeTransport(),
    )


def test_what_was_held_is_not_late_at_the_end_of_quiet_hours(night: DeliveryHarness) -> None:
    for number in range(120):
        night.open(f"a{number}", severity="LOW")
    night.now += 8 * HOUR - 2 * SECOND
    night.advance(4 * SECOND)
    (digest,) = night.transports["desk"].messages
    assert len(digest.notifications) == 120
    assert digest.late < 2 * SECOND


def test_what_was_held_and_comes_with_what_is_worse_is_not_late(night: DeliveryHarness) -> None:
    night.open("a1", severity="MEDIUM")
    night.now += 3 * HOUR
    night.change("raised", "a1")
    assert night.sent("desk") == ["a1 opened", "a1 raised"]
    assert [message.late for message in night.transports["desk"].messages] == [timedelta(0)] * 2


def test_what_was_held_is_late_from_the_end_of_quiet_hours_on(night: DeliveryHarness) -> None:
    night.open("a1", severity="LOW")
    night.now += 9 * HOUR
    night.step()
    assert night.transports["desk"].messages[0].late == HOUR


def test_what_was_not_held_is_late_from_when_it_happened(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = DeliveryHarness(database, QUIET, FakeClock(monkeypatch, DAWN), desk=FakeTransport())
    desk.open("a1", dispatch=False)
    desk.now += 7 * MINUTE
    desk.step()
    desk.now += SETTLE_TIME
    desk.step()
    assert desk.transports["desk"].messages[0].late == 7 * MINUTE + SETTLE_TIME
