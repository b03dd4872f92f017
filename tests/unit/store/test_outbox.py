"""The outbox: what is written once, kept back, handed on, and who knows of an alert."""

from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import Connection

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
    event = add_event(connection, alert_of(one), change, NOON + after)
    add_deliveries(connection, event, one, planned, muted)
    return event


def outline(connection: Connection) -> list[tuple[object, ...]]:
    """Return channel, change and state of each delivery."""
    return [
        (row["channel"], row["change"], row["state"]) for row in outbox.delivery_history(connection, "a1")
    ]


def test_of_one_event_a_channel_is_told_once(connection: Connection) -> None:
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
def test_who_knows_that_it_is_open_and_from_whom_the_latest_was_kept(
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


def test_who_could_not_be_told_does_not_know(connection: Connection) -> None:
    write(connection, "opened", PlannedDelivery("desk", "r", fallback=("ops",)))
    (failed,) = deliveries.claim(connection, "desk", "me", NOON)
    deliveries.mark_failed(connection, failed, "gone")
    assert outbox.add_fallback(connection, failed, "desk failed") == {"ops"}
    assert outbox.notified_channels(connection, "a1") == (["ops"], [])


def test_what_is_handed_on_keeps_what_is_left_of_the_chain_its_batch_and_its_moment(
    connection: Connection,
) -> None:
    later = NOON + HOUR
    write(connection, "opened", PlannedDelivery("phone", "r", later, "b", ("pager", "desk")))
    (late,) = deliveries.claim(connection, "phone", "me", later)
    outbox.add_fallback(connection, late, "phone failed")
    (handed,) = deliveries.claim(connection, "pager", "me", later)
    assert (handed.fallback, handed.batch, handed.scheduled_at) == (("desk",), "b", later)


def test_it_is_handed_on_once(connection: Connection) -> None:
    write(connection, "opened", PlannedDelivery("phone", "r", fallback=("desk",)))
    (late,) = deliveries.claim(connection, "phone", "me", NOON)
    outbox.add_fallback(connection, late, "phone fails")
    deliveries.mark_retry(connection, late, "busy", NOON)
    (again,) = deliveries.claim(connection, "phone", "me", NOON + HOUR)
    assert outbox.add_fallback(connection, again, "phone fails") == set()


def test_only_what_is_not_being_sent_is_withdrawn(connection: Connection) -> None:
    write(connection, "opened", PlannedDelivery("desk", "r"))
    write(connection, "escalated", PlannedDelivery("phone", "r"))
    write(connection, "repeated", PlannedDelivery("ops", "r"))
    assert deliveries.claim(connection, "phone", "me", NOON)
    outbox.suppress_pending(connection, "a1", ("escalated", "repeated"), "acknowledged by ann")
    assert outline(connection) == [
        ("desk", "opened", "PENDING"), ("phone", "escalated", "PENDING"), ("ops", "repeated", "SUPPRESSED"),
    ]  # fmt: skip


def test_the_end_is_kept_from_who_knows_of_an_earlier_time_only(connection: Connection) -> None:
    for change in ("opened", "resolved"):
        write(connection, change, PlannedDelivery("desk", "r"))
        (one,) = deliveries.claim(connection, "desk", "me", NOON)
        deliveries.mark_sent(connection, one, NOON)
    write(connection, "reopened", PlannedDelivery("desk", "r"))
    write(connection, "resolved", PlannedDelivery("desk", "r"))
    (reopened,) = deliveries.claim(connection, "desk", "me", NOON)
    deliveries.mark_failed(connection, reopened, "gone")
    outbox.suppress_resolved(connection, "a1", "desk")
    assert [state for _, _, state in outline(connection)] == ["SENT", "SENT", "FAILED", "SUPPRESSED"]


def test_the_end_is_left_to_who_knows_that_it_is_open(connection: Connection) -> None:
    write(connection, "opened", PlannedDelivery("desk", "r"))
    write(connection, "raised", PlannedDelivery("desk", "r"))
    write(connection, "resolved", PlannedDelivery("desk", "r"))
    (opened,) = deliveries.claim(connection, "desk", "me", NOON)
    deliveries.mark_failed(connection, opened, "gone")
    outbox.suppress_resolved(connection, "a1", "desk")
    assert [state for _, _, state in outline(connection)] == ["FAILED", "PENDING", "PENDING"]


def test_what_is_worse_takes_along_what_is_held_of_the_same_alert_and_channel_only(
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


def test_what_failed_again_and_what_waits_behind_it_is_overdue_and_nothing_else(
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
