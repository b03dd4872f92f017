"""What a channel cannot deliver: who stands in for it, and the alert that says so."""

from datetime import timedelta

import pytest

from services.notifier.channels.base import TransportError
from shared.schema.alerts import Notice
from shared.store.alerts import AlertFilter, list_alerts
from shared.store.database import Database
from tests.unit.notifier.delivery_harness import (
    DAWN,
    SECOND,
    DeliveryHarness,
    FakeClock,
    FakeTransport,
    permanent_error,
    retryable_error,
)
from tests.unit.notifier.planning_harness import HOUR, MINUTE

pytestmark = pytest.mark.slow  # repeats a story for each failure

TEXT = """
channels:
  phone: { url: "http://127.0.0.1:9/phone", fallback: pager }
  pager: { url: "http://127.0.0.1:9/pager", fallback: desk }
  desk: { url: "http://127.0.0.1:9/desk" }
routes:
  - { match: { rule: notification-channel }, channels: [phone], repeat: 0 }
  - { channels: [phone], repeat: 0 }
"""


def busy(_notice: Notice) -> Exception:
    return TransportError("busy", permanent=False, reason="busy", retry_after=3600)


@pytest.fixture
def desk(database: Database, monkeypatch: pytest.MonkeyPatch) -> DeliveryHarness:
    return DeliveryHarness(
        database,
        TEXT,
        FakeClock(monkeypatch, DAWN),
        phone=FakeTransport(),
        pager=FakeTransport(),
        desk=FakeTransport(),
    )


def opened_troubles(desk: DeliveryHarness) -> list[str]:
    """Return the channels that alerts were ever about."""
    with desk.database.read() as connection:
        found = list_alerts(connection, AlertFilter(component=["botwatch"]), limit=99)
    return sorted(f"{one.details.labels['channel']} {one.status}" for one in found)


def test_permanent_failure(
    desk: DeliveryHarness,
) -> None:
    """The fallback is notified once, and an alert about the channel is open until it works."""
    desk.transports["phone"].fails = permanent_error
    desk.open("a1")
    desk.advance(2 * MINUTE, every=5 * SECOND)
    assert desk.sent("pager") == ["a1 opened"]
    assert desk.channel_alerts("pager") == ["opened"]
    assert (desk.sent("phone"), desk.sent("desk"), desk.channel_alerts("desk")) == ([], [], [])
    assert len(desk.transports["phone"].keys) == 1
    assert opened_troubles(desk) == ["phone ACTIVE"]
    desk.open("a2")
    desk.advance(SECOND)
    assert opened_troubles(desk) == ["phone ACTIVE"]
    desk.transports["phone"].fails = lambda _: None
    desk.open("a3")
    desk.advance(SECOND)
    assert desk.sent("phone") == ["a3 opened"]
    assert opened_troubles(desk) == ["phone RESOLVED"]
    assert desk.channel_alerts("pager") == ["opened", "resolved"]
    assert desk.channel_alerts("phone") == []


def test_temporary_failures_for_a_minute(desk: DeliveryHarness) -> None:
    """After a minute of retries the fallback is notified once; the retries go on."""
    desk.transports["phone"].fails = retryable_error
    desk.open("a1")
    desk.advance(59 * SECOND)
    assert (desk.sent("pager"), opened_troubles(desk)) == ([], [])
    desk.advance(2 * SECOND)
    assert (desk.sent("pager"), opened_troubles(desk)) == (["a1 opened"], ["phone ACTIVE"])
    assert desk.transports["pager"].messages[0].late >= MINUTE
    desk.advance(10 * MINUTE, every=5 * SECOND)
    desk.transports["phone"].fails = lambda _: None
    desk.advance(5 * MINUTE, every=5 * SECOND)
    assert desk.sent("phone") == desk.sent("pager") == ["a1 opened"]
    assert desk.channel_alerts("pager") == ["opened", "resolved"]
    assert desk.sent("desk") == []


def test_temporary_failures_for_less_than_a_minute(desk: DeliveryHarness) -> None:
    """A channel that recovers within a minute needs no fallback and no alert."""
    desk.transports["phone"].fails = retryable_error
    desk.open("a1")
    desk.advance(25 * SECOND)
    desk.transports["phone"].fails = lambda _: None
    desk.advance(MINUTE)
    assert desk.sent("phone") == ["a1 opened"]
    assert (desk.sent("pager"), opened_troubles(desk)) == ([], [])


@pytest.mark.parametrize("fails", [permanent_error, retryable_error, busy])
def test_chain_of_three(desk: DeliveryHarness, fails: object) -> None:
    """If the channel and its fallback both fail, the fallback of the fallback is notified."""
    desk.transports["phone"].fails = desk.transports["pager"].fails = fails  # type: ignore[assignment]
    desk.open("a1")
    desk.advance(3 * MINUTE, every=5 * SECOND)
    assert desk.sent("desk") == ["a1 opened"]
    assert opened_troubles(desk) == ["pager ACTIVE", "phone ACTIVE"]


def test_receiver_that_asks_for_an_hour(
    desk: DeliveryHarness,
) -> None:
    """A channel paused for an hour gets its fallback after a minute, for each notification."""
    desk.transports["phone"].fails = busy
    desk.open("a1")
    desk.advance(30 * SECOND)
    desk.open("a2")
    desk.advance(31 * SECOND)
    assert desk.sent("pager") == ["a1 opened"]
    desk.advance(31 * SECOND)
    assert desk.sent("pager") == ["a1 opened", "a2 opened"]
    assert len(desk.transports["phone"].keys) == 1


def test_order_on_fallback_and_channel(
    desk: DeliveryHarness,
) -> None:
    """The fallback gets all notifications of the alert in order, and so does the channel later."""
    desk.transports["phone"].fails = retryable_error
    desk.open("a1")
    desk.advance(20 * SECOND)
    desk.change("raised", "a1")
    desk.advance(20 * SECOND)
    desk.change("resolved", "a1")
    desk.advance(25 * SECOND)
    expected = ["a1 opened", "a1 raised", "a1 resolved"]
    assert desk.sent("pager") == expected
    desk.transports["phone"].fails = lambda _: None
    desk.advance(6 * MINUTE, every=5 * SECOND)
    assert (desk.sent("phone"), desk.sent("pager")) == (expected, expected)


def test_later_changes_reach_the_fallback(desk: DeliveryHarness) -> None:
    """A later change of the alert reaches the fallback as well."""
    desk.transports["phone"].fails = retryable_error
    desk.open("a1", severity="MEDIUM")
    desk.advance(3 * MINUTE, every=5 * SECOND)
    desk.change("raised", "a1")
    desk.advance(62 * SECOND)
    assert desk.sent("pager") == ["a1 opened", "a1 raised"]


def test_no_resolved_without_an_opened(
    desk: DeliveryHarness,
) -> None:
    """A channel that never received the opening notification gets no resolved one."""
    desk.transports["phone"].fails = lambda one: permanent_error(one) if one.change == "opened" else None
    desk.open("a1", dispatch=False)
    desk.change("resolved", "a1")
    desk.advance(SECOND)
    assert desk.sent("phone") == []
    assert desk.sent("pager") == ["a1 opened", "a1 resolved"]
    assert desk.deliveries("a1")[1] == "(phone resolved)"


def test_resolved_reaches_the_fallback(desk: DeliveryHarness) -> None:
    """A fallback that received the opening notification receives the resolved one."""
    desk.transports["phone"].fails = permanent_error
    desk.open("a1")
    desk.advance(SECOND)
    desk.change("resolved", "a1")
    desk.advance(SECOND)
    assert desk.sent("pager") == ["a1 opened", "a1 resolved"]


def test_one_failure_after_a_long_downtime(desk: DeliveryHarness) -> None:
    """One failed attempt at an old delivery notifies no fallback."""
    failures: list[Exception] = []
    desk.transports["phone"].fails = lambda _: failures.pop() if failures else None
    for alert, downtime in (("a0", timedelta(0)), ("a1", 2 * HOUR)):
        failures.append(TransportError("busy", permanent=False))
        desk.open(alert, dispatch=False)
        desk.advance(downtime, downtime=True)
        desk.advance(10 * SECOND)
    assert desk.sent("phone") == ["a0 opened", "a1 opened"]
    assert (desk.sent("pager"), opened_troubles(desk)) == ([], [])
    assert desk.transports["phone"].messages[1].late >= 2 * HOUR


def test_one_notification_that_always_fails(
    desk: DeliveryHarness,
) -> None:
    """It goes to the fallback although the channel works for all others."""
    desk.transports["phone"].fails = lambda one: retryable_error(one) if one.id == "a1" else None
    desk.open("a1")
    for number in range(2, 12):
        desk.open(f"a{number}")
        desk.advance(10 * SECOND)
    assert len(desk.sent("phone")) == 10
    assert desk.sent("pager") == ["a1 opened"]


def test_a_failed_batch_stays_one_message(desk: DeliveryHarness) -> None:
    """A batch that fails reaches the fallback as one message."""
    late = timedelta(minutes=5)
    desk.dispatcher = desk.dispatching(
        TEXT.replace("[phone], repeat: 0", "[phone], groupBy: [], groupWait: 5m")
    )
    desk.transports["phone"].takes_batches = desk.transports["pager"].takes_batches = True
    desk.transports["phone"].fails = permanent_error
    for number in range(5):
        desk.open(f"a{number}")
    desk.advance(late + SECOND)
    digests = [
        len(one.notifications) for one in desk.transports["pager"].messages if one.notifications[0].id == "a0"
    ]
    assert digests == [5]
    assert desk.transports["pager"].messages[0].late < MINUTE
