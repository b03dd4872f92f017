"""The outbox: deliveries written once, suppressed, handed to fallbacks, and who was notified."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, event

from shared.schema.alerts import Change
from shared.store import deliveries, outbox
from shared.store.alerts import add_event, insert_alert
from shared.store.database import Database
from shared.store.outbox import PlannedDelivery, add_deliveries
from tests.unit.notifier.fake_receivers import NOON, alert_of, make_notice

HOUR = timedelta(hours=1)


@pytest.fixture
def connection(health: Database) -> Iterator[Connection]:
    with health.write() as connection:
        insert_alert(connection, alert_of(make_notice()))
        yield connection


def write(
    connection: Connection,
    change: Change,
    *planned: PlannedDelivery,
    after: timedelta = timedelta(0),
    muted: str | None = None,
) -> int:
    """Write a change with its deliveries and return the event's id."""
    one = msgspec.structs.replace(make_notice(change), updated_at=NOON + after)
    added = add_event(connection, alert_of(one), change, NOON + after)
    add_deliveries(connection, added, one, planned, muted)
    return added


def outline(connection: Connection) -> list[tuple[object, ...]]:
    """Return channel, change and state of each delivery."""
    return [
        (row["channel"], row["change"], row["state"]) for row in outbox.delivery_history(connection, "a1")
    ]


def test_a_channel_is_notified_once_of_an_event(connection: Connection) -> None:
    event = write(connection, "opened", PlannedDelivery("desk", "first"))
    add_deliveries(
        connection, event, make_notice(), [PlannedDelivery("desk", "again"), PlannedDelivery("ops", "new")]
    )
    found = outbox.delivery_history(connection, "a1")
    assert [(row["channel"], row["reason"]) for row in found] == [("desk", "first"), ("ops", "new")]


@pytest.mark.parametrize(
    ("steps", "told", "kept_from"),
    [
        (["opened"], ["desk"], []),
        (["(opened)"], [], ["desk"]),
        (["(opened)", "unmuted"], ["desk"], []),
        (["opened", "(raised)"], ["desk"], ["desk"]),
        (["opened", "resolved"], [], []),
        (["opened", "resolved", "reopened"], ["desk"], []),
        (["opened", "resolved", "(reopened)"], [], ["desk"]),
    ],
)
def test_notified_channels_and_channels_with_suppressed_deliveries(
    connection: Connection, steps: list[Change], told: list[str], kept_from: list[str]
) -> None:
    for step in steps:
        change: Change = step.strip("()")  # type: ignore[assignment]
        write(
            connection,
            change,
            PlannedDelivery("desk", "r"),
            muted="silenced" if step.startswith("(") else None,
        )
    assert outbox.notified_channels(connection, "a1") == (told, kept_from)


def test_a_channel_whose_delivery_failed_is_not_notified(connection: Connection) -> None:
    write(connection, "opened", PlannedDelivery("desk", "r", fallback=("ops",)))
    (failed,) = deliveries.claim(connection, "desk", "me", NOON)
    deliveries.mark_failed(connection, failed, "gone")
    assert outbox.add_fallback(connection, failed, "desk failed") == {"ops"}
    assert outbox.notified_channels(connection, "a1") == (["ops"], [])


def test_a_fallback_delivery_keeps_further_fallbacks_batch_and_hold_time(
    connection: Connection,
) -> None:
    later = NOON + HOUR
    write(connection, "opened", PlannedDelivery("phone", "r", later, "b", ("pager", "desk")))
    (late,) = deliveries.claim(connection, "phone", "me", later)
    outbox.add_fallback(connection, late, "phone failed")
    (handed,) = deliveries.claim(connection, "pager", "me", later)
    assert (handed.fallback, handed.batch, handed.scheduled_at) == (("desk",), "b", later)


def test_a_delivery_is_handed_to_its_fallback_once(connection: Connection) -> None:
    write(connection, "opened", PlannedDelivery("phone", "r", fallback=("desk",)))
    (late,) = deliveries.claim(connection, "phone", "me", NOON)
    outbox.add_fallback(connection, late, "phone fails")
    deliveries.mark_retry(connection, late, "busy", NOON)
    (again,) = deliveries.claim(connection, "phone", "me", NOON + HOUR)
    assert outbox.add_fallback(connection, again, "phone fails") == set()


def test_only_deliveries_not_being_sent_are_suppressed(connection: Connection) -> None:
    write(connection, "opened", PlannedDelivery("desk", "r"))
    write(connection, "escalated", PlannedDelivery("phone", "r"))
    write(connection, "repeated", PlannedDelivery("ops", "r"))
    assert deliveries.claim(connection, "phone", "me", NOON)
    outbox.suppress_pending(connection, "a1", ("escalated", "repeated"), "acknowledged by ann")
    assert outline(connection) == [
        ("desk", "opened", "PENDING"), ("phone", "escalated", "PENDING"), ("ops", "repeated", "SUPPRESSED"),
    ]  # fmt: skip


def test_no_resolution_goes_to_channels_notified_of_earlier_openings_only(connection: Connection) -> None:
    for change in ("opened", "resolved"):
        write(connection, change, PlannedDelivery("desk", "r"))
        (one,) = deliveries.claim(connection, "desk", "me", NOON)
        deliveries.mark_sent(connection, [deliveries.SentDelivery(one, NOON)])
    write(connection, "reopened", PlannedDelivery("desk", "r"))
    write(connection, "resolved", PlannedDelivery("desk", "r"))
    (reopened,) = deliveries.claim(connection, "desk", "me", NOON)
    deliveries.mark_failed(connection, reopened, "gone")
    outbox.suppress_resolved(connection, "a1", "desk")
    assert [state for _, _, state in outline(connection)] == ["SENT", "SENT", "FAILED", "SUPPRESSED"]


def test_the_resolution_goes_to_channels_notified_of_the_opening(connection: Connection) -> None:
    write(connection, "opened", PlannedDelivery("desk", "r"))
    write(connection, "raised", PlannedDelivery("desk", "r"))
    write(connection, "resolved", PlannedDelivery("desk", "r"))
    (opened,) = deliveries.claim(connection, "desk", "me", NOON)
    deliveries.mark_failed(connection, opened, "gone")
    outbox.suppress_resolved(connection, "a1", "desk")
    assert [state for _, _, state in outline(connection)] == ["FAILED", "PENDING", "PENDING"]


def test_an_urgent_delivery_releases_held_ones_of_its_alert_and_channel(
    connection: Connection,
) -> None:
    held = NOON + 9 * HOUR
    write(
        connection,
        "opened",
        PlannedDelivery("desk", "r", held, "quiet"),
        PlannedDelivery("ops", "r", held, "quiet"),
    )
    write(connection, "raised", PlannedDelivery("desk", "r"), after=HOUR)
    due = {
        name: deliveries.next_attempt_due(connection, name, NOON + HOUR + timedelta(seconds=1))
        for name in ("desk", "ops")
    }
    assert due == {"desk": NOON + HOUR + timedelta(seconds=1), "ops": held}


def test_only_repeated_failures_and_deliveries_behind_them_are_overdue(
    connection: Connection,
) -> None:
    write(connection, "opened", PlannedDelivery("desk", "r"))
    write(connection, "raised", PlannedDelivery("desk", "r"))
    for _ in range(2):
        assert deliveries.overdue(connection, "desk", NOON, untried=False) == []
        (one,) = deliveries.claim(connection, "desk", "me", NOON)
        deliveries.mark_retry(connection, one, "busy", NOON)
    found = deliveries.overdue(connection, "desk", NOON, untried=False)
    assert [one.notice.change for one in found] == ["opened", "raised"]
    assert deliveries.overdue(connection, "desk", NOON - HOUR, untried=True) == []
    assert deliveries.has_failed_attempts(connection, "desk")
    assert not deliveries.has_failed_attempts(connection, "ops")


def test_the_last_sent_delivery_is_the_newest_one(connection: Connection) -> None:
    """Also where the machine's clock was set back after an earlier one."""
    for hours in (4, 0):
        write(connection, "opened", PlannedDelivery("desk", "first"), after=hours * HOUR)
        (one,) = deliveries.claim(connection, "desk", "here", NOON + hours * HOUR)
        deliveries.mark_sent(connection, [deliveries.SentDelivery(one, NOON + hours * HOUR)])
    assert deliveries.last_sent(connection, "a1", "desk") == NOON


def test_a_long_history_costs_nothing(connection: Connection) -> None:
    """What happens for each notification reads the pending deliveries, or those of an alert."""
    write(connection, "opened", PlannedDelivery("desk", "first"))
    plans: list[str] = []
    raw = connection.connection.driver_connection
    assert raw

    def explain(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if "notifications" in statement and not statement.startswith("INSERT"):
            plans.extend(step[-1] for step in raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    event.listen(connection, "before_cursor_execute", explain)
    deliveries.next_attempt_due(connection, "desk", NOON)
    (one,) = deliveries.claim(connection, "desk", "here", NOON)
    deliveries.claim(connection, "desk", "here", NOON, digest=True)
    deliveries.renew(connection, "here", NOON)
    deliveries.mark_sent(connection, [deliveries.SentDelivery(one, NOON)])
    write(connection, "raised", PlannedDelivery("desk", "first"))
    read = {plan.partition(" USING ")[2] for plan in plans if plan.startswith(("SEARCH", "SCAN"))}
    assert read == {
        "",  # the newest ID
        "INTEGER PRIMARY KEY (rowid=?)",
        "INDEX notifications_due",
        "INDEX notifications_due (channel=? AND state=?)",
        "INDEX notifications_alert (alertId=? AND rowid<?)",
    }
