"""Marks of sent deliveries: one by one, and in a backlog several in one transaction."""

import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from sqlite3 import OperationalError as SqliteError
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from services.notifier.channels.base import TransportError
from services.notifier.delivery import mark_timer
from services.notifier.delivery.mark_timer import MarkTimer
from services.notifier.delivery.sent_marks import BACKLOG, MAX_UNMARKED
from shared.schema.alerts import Notice
from shared.store import deliveries
from shared.store.database import Database
from shared.store.deliveries import SentDelivery
from tests.support import wait_until
from tests.unit.notifier.delivery_harness import FakeTransport, deliver_due, make_channel, retryable_error
from tests.unit.notifier.fake_receivers import make_notice, states, write_deliveries

LAST = f"a{BACKLOG - 1}"


def write_backlog(database: Database, count: int) -> None:
    write_deliveries(database, "webhook", *(make_notice(alert=f"a{number}") for number in range(count)))


def marked(database: Database, count: int) -> list[str]:
    """List which of `count` alerts have a delivery that is marked as sent."""
    return [f"a{number}" for number in range(count) if states(database, f"a{number}") == ["SENT"]]


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list of how many deliveries each transaction has marked."""
    sizes: list[int] = []
    mark = deliveries.mark_sent

    def count(connection: Any, sent: Iterable[SentDelivery]) -> None:
        rows = [*sent]
        sizes.append(len(rows))
        mark(connection, rows)

    monkeypatch.setattr(deliveries, "mark_sent", count)
    return sizes


def lock(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let no mark be written; return what ends that."""
    mark = deliveries.mark_sent

    def fail(*_: object) -> None:
        raise OperationalError("UPDATE", {}, SqliteError("database is locked"))

    monkeypatch.setattr(deliveries, "mark_sent", fail)
    return lambda: monkeypatch.setattr(deliveries, "mark_sent", mark)


def test_few_are_marked_one_by_one(database: Database, transactions: list[int]) -> None:
    """Without a backlog each message is marked before the next is sent: a kill repeats one at most."""
    count = BACKLOG - 1
    seen: list[int] = []

    def look(_notice: Notice) -> None:
        seen.append(len(marked(database, count)))

    write_backlog(database, count)
    deliver_due(make_channel(database, FakeTransport(look)))
    assert seen == [*range(count)]
    assert transactions == [1] * count


def test_a_backlog_is_marked_together(database: Database, transactions: list[int]) -> None:
    """In a backlog a transaction marks `MAX_UNMARKED` messages, the last one those that are left."""
    transport = FakeTransport()
    write_backlog(database, MAX_UNMARKED + 5)
    deliver_due(make_channel(database, transport))
    assert transactions == [MAX_UNMARKED, 5]
    assert len(transport.sent) == len(marked(database, MAX_UNMARKED + 5)) == MAX_UNMARKED + 5


def test_marked_while_the_next_message_hangs(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent before a receiver hangs is marked at once, or as soon as the database allows it."""
    monkeypatch.setattr(mark_timer, "RETRY_S", 0.01)
    answering = threading.Event()

    def hang(notice: Notice) -> None:
        if notice.id == LAST:
            answering.wait(60)

    transport = FakeTransport(hang)
    write_backlog(database, BACKLOG)
    unlock = lock(monkeypatch)
    with closing(MarkTimer()) as timer:
        timer.start()
        channel = make_channel(database, transport, mark_timer=timer)
        channel.start()
        wait_until(lambda: len(transport.keys) == BACKLOG, "the last message hangs")
        unlock()
        wait_until(lambda: len(marked(database, BACKLOG)) == BACKLOG - 1, "those before it are marked")
        answering.set()
        wait_until(lambda: len(marked(database, BACKLOG)) == BACKLOG, "it is marked, too")
        channel.stop()
        assert channel.join(5)


def test_marked_before_a_failure(database: Database) -> None:
    """When a message fails, those before it are marked first, and those after it are free again."""
    transport = FakeTransport(lambda notice: retryable_error(notice) if notice.id == "a5" else None)
    write_backlog(database, BACKLOG)
    deliver_due(make_channel(database, transport))
    assert marked(database, BACKLOG) == ["a0", "a1", "a2", "a3", "a4"]
    assert len(transport.sent) == 5


def test_a_failing_channel_stays_failing(database: Database, transactions: list[int]) -> None:
    """A message that was sent before a permanent failure does not resolve the alert about the channel."""
    refused = TransportError("gone", permanent=True)
    transport = FakeTransport(lambda notice: refused if notice.id == LAST else None)
    write_backlog(database, BACKLOG)
    deliver_due(make_channel(database, transport))
    with database.read() as connection:
        sql = "SELECT status FROM alerts WHERE rule = 'notification-channel'"
        found = connection.exec_driver_sql(sql).scalars().all()
    assert found == ["ACTIVE"]
    assert transactions == [BACKLOG - 1]


def test_a_mark_that_failed_is_written_later(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the database is locked nothing more is sent, and afterwards nothing is sent twice."""
    transport = FakeTransport()
    channel = make_channel(database, transport)
    write_backlog(database, MAX_UNMARKED + 5)
    unlock = lock(monkeypatch)
    for _ in range(2):
        with pytest.raises(OperationalError):
            deliver_due(channel)
    assert len(transport.sent) == MAX_UNMARKED
    unlock()
    deliver_due(channel)
    assert len(marked(database, MAX_UNMARKED)) == MAX_UNMARKED
    assert len(transport.sent) == MAX_UNMARKED


def test_a_closed_timer_fails_the_check() -> None:
    """The check of a timer whose thread has ended raises."""
    with closing(MarkTimer()) as timer:
        timer.start()
        timer.check()
    with pytest.raises(RuntimeError):
        timer.check()


def test_the_timer_survives_any_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be marked, for whatever reason, is marked later."""
    monkeypatch.setattr(mark_timer, "RETRY_S", 0.01)
    outcomes: list[Exception | None] = [None, ZeroDivisionError("surprise")]

    def flush() -> bool:
        if error := outcomes.pop():
            raise error
        return False

    with closing(MarkTimer()) as timer:
        timer.start()
        timer.watch(flush)
        wait_until(lambda: not outcomes, "it is tried again")
        timer.check()
