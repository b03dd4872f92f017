"""Several lanes of a channel, batches, what was held: the right messages in order, and how late they are."""

import random
import threading
from datetime import UTC, datetime, timedelta

import pytest

from services.notifier import backoff
from services.notifier.catching_up import SETTLE
from services.notifier.channels.transport import Message, TransportError
from services.notifier.leases import LeaseKeeper
from shared.schema.alerts import Change
from shared.store.database import Database
from tests.support import wait_for
from tests.unit.notifier.lanes import DAWN, SECOND, Bundles, Desk, Hands, Told, channel, drain
from tests.unit.notifier.receivers import notice, put, states
from tests.unit.notifier.story import HOUR, MINUTE, channels

CHANGES: tuple[Change, ...] = ("opened", "raised", "lowered", "raised", "resolved")


@pytest.mark.parametrize("lanes", [1, 2, 4, 8])
@pytest.mark.parametrize("batch", [None, "all"])
@pytest.mark.parametrize("kind", [Told, Bundles])
def test_however_many_lanes_and_failures_each_alerts_order_is_kept_and_nothing_is_lost(
    database: Database, monkeypatch: pytest.MonkeyPatch, lanes: int, batch: str | None, kind: type[Told]
) -> None:
    monkeypatch.setattr(backoff, "FIRST", timedelta(milliseconds=4))
    chance = random.Random(lanes)
    lock = threading.Lock()

    class Shaky(kind):  # type: ignore[misc, valid-type]
        def send(self, message: Message) -> None:
            with lock:
                if chance.random() < 0.15:
                    raise TransportError("busy", permanent=False)
                super().send(message)

    told = Shaky()
    alerts = [f"a{number}" for number in range(12)]
    put(database, "webhook", *(notice("opened", alert=one) for one in alerts), batch=batch)
    sending = channel(database, told, lanes=lanes)
    leases = LeaseKeeper(lambda: sending.leases, database)
    sending.start()
    for change in CHANGES[1:]:
        put(database, "webhook", *(notice(change, alert=one) for one in alerts), batch=batch)
        sending.wake()
    wait_for(lambda: all(states(database, one) == ["SENT"] * len(CHANGES) for one in alerts), 20)
    sending.stop()
    assert sending.join(5)
    leases.close()
    for one in alerts:
        assert [change for alert, change in told.sent if alert == one] == [*CHANGES]


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_batch_is_one_message_however_large_it_is(database: Database, lanes: int) -> None:
    told = Bundles()
    put(database, "webhook", *(notice(alert=f"a{number}") for number in range(150)), batch="night/{}")
    put(database, "webhook", notice(alert="b1"))
    drain(channel(database, told, lanes=lanes))
    assert sorted(len(message.notices) for message in told.messages) == [1, 150]
    assert max(told.messages, key=lambda one: len(one.notices)).group == "night/{}"


def test_for_transports_that_take_one_at_a_time_a_batch_is_as_many_messages(database: Database) -> None:
    told = Told()
    put(database, "webhook", *(notice(alert=f"a{number}") for number in range(5)), batch="night/{}")
    drain(channel(database, told))
    assert [len(message.notices) for message in told.messages] == [1] * 5


def test_what_may_pass_stops_the_lane_though_the_receiver_asks_for_no_pause(database: Database) -> None:
    failures = [TransportError("busy", permanent=False, retry_after=0)]
    told = Told(lambda _: failures.pop() if failures else None)
    put(database, "webhook", notice("opened"), notice("raised"), batch="b")
    drain(channel(database, told))
    assert told.sent == []


QUIET = channels("desk") + "routes: [{ channels: [desk], quiet: { from: '22:00', until: '07:00' } }]"


@pytest.fixture
def night(database: Database, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(database, QUIET, Hands(monkeypatch, datetime(2026, 1, 31, 23, tzinfo=UTC)), desk=Bundles())


def test_what_was_held_is_not_late_at_the_end_of_quiet_hours(night: Desk) -> None:
    for number in range(120):
        night.open(f"a{number}", severity="LOW")
    night.now += 8 * HOUR - 2 * SECOND
    night.wait(4 * SECOND)
    (digest,) = night.transports["desk"].messages
    assert len(digest.notices) == 120
    assert digest.late < 2 * SECOND


def test_what_was_held_and_comes_with_what_is_worse_is_not_late(night: Desk) -> None:
    night.open("a1", severity="MEDIUM")
    night.now += 3 * HOUR
    night.change("raised", "a1")
    assert night.sent("desk") == ["a1 opened", "a1 raised"]
    assert [message.late for message in night.transports["desk"].messages] == [timedelta(0)] * 2


def test_what_was_held_is_late_from_the_end_of_quiet_hours_on(night: Desk) -> None:
    night.open("a1", severity="LOW")
    night.now += 9 * HOUR
    night.step()
    assert night.transports["desk"].messages[0].late == HOUR


def test_what_was_not_held_is_late_from_when_it_happened(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(database, QUIET, Hands(monkeypatch, DAWN), desk=Told())
    desk.open("a1", dispatch=False)
    desk.now += 7 * MINUTE
    desk.step()
    desk.now += SETTLE
    desk.step()
    assert desk.transports["desk"].messages[0].late == 7 * MINUTE + SETTLE
