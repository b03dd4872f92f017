"""The dispatcher: each event is told of once, in order, whatever comes between."""

import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import Connection, delete, event, text, update

from services.notifier.self_alert_store import open_self_alert
from services.notifier.self_alerts import SelfAlert, build_alert
from shared.schema.muting import NO_MUTES
from shared.schema.watchdog import WATCHDOG
from shared.store import escalations
from shared.store.database import Database, sqlite_url
from shared.store.tables import alert_events, alerts
from shared.store.tables import escalations as rows
from tests.notification_planning import NoWorkers, Silent, dispatch_all
from tests.unit.notifier.planning_harness import HOUR, MINUTE, PlanningHarness, channels

pytestmark = pytest.mark.slow  # repeats a story for each kill

SECOND = timedelta(seconds=1)
BEGIN_WRITE = "BEGIN IMMEDIATE"
NIGHT = (
    channels("desk", "phone")
    + """
routes:
  - { policy: night, groupBy: [rule], continue: true, repeat: 1h }
  - { channels: [desk], quiet: { from: "12:00", until: "13:00" } }
policies:
  night:
    acknowledgeTimeout: 1h
    steps: [{ notify: [desk] }, { after: 5m, notify: [phone], raiseSeverity: true }]
"""
)


class Killed(BaseException):
    """The end of a process."""


def woken(story: PlanningHarness) -> list[str]:
    """Return the channels that got deliveries."""
    assert isinstance(story.outlets, NoWorkers)
    return story.outlets.woken


def state(story: PlanningHarness) -> list[Any]:
    """Return all that telling is about, without what differs from run to run."""
    with story.database.read() as connection:
        return [
            [tuple(row) for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2"))]  # noqa: S608 - our own tables
            for table in ("notifications", "alert_events", "alerts", "escalations", "message_groups")
        ] + [escalations.dispatch_cursor(connection)]


def opened(story: PlanningHarness) -> None:
    story.open(dispatch=False)


def escalated(story: PlanningHarness) -> None:
    story.open()
    story.now += 5 * MINUTE


def repeated(story: PlanningHarness) -> None:
    story.open()
    story.advance(5 * MINUTE)
    story.now += HOUR


def acknowledged(story: PlanningHarness) -> None:
    story.open()
    story.acknowledge(dispatch=False)


def resolved(story: PlanningHarness) -> None:
    story.open()
    story.change("muted")
    story.change("unmuted", dispatch=False)
    story.change("raised", dispatch=False)
    story.change("resolved", dispatch=False)


@pytest.mark.parametrize("prepare", [opened, escalated, repeated, acknowledged, resolved])
def test_killed_at_any_statement(
    tmp_path: Path, migrated: Path, prepare: Callable[[PlanningHarness], None]
) -> None:
    """A kill at any statement leaves nothing half done, and the next process plans the same."""
    whole = _prepared(tmp_path, migrated, prepare)
    before, statements = state(whole), _count(whole)
    expected = state(whole)
    whole.database.close()
    assert statements > 3
    assert before != expected
    for number in range(1, statements + 3):
        killed = _again(tmp_path, whole, f"killed-{number}")
        with _killing(killed.database, number), suppress(Killed):
            dispatch_all(killed.dispatcher, killed.now)
            assert number > statements, number
        dispatch_all(killed.dispatcher, killed.now)
        assert state(killed) == expected, number
        killed.database.close()


def _prepared(folder: Path, migrated: Path, prepare: Callable[[PlanningHarness], None]) -> PlanningHarness:
    """Return a story at the moment at which there is something to tell; a copy of it is kept."""
    shutil.copy(migrated / "health.db", folder / "whole.db")
    database = Database(sqlite_url(folder / "whole.db"))
    story = PlanningHarness(database, NIGHT)
    story.deliver = lambda: None  # type: ignore[method-assign]
    prepare(story)
    database.close()
    shutil.copy(folder / "whole.db", folder / "prepared.db")
    return story


def _again(folder: Any, like: PlanningHarness, name: str) -> PlanningHarness:
    """Return the story that was prepared, once more."""
    shutil.copy(folder / "prepared.db", folder / f"{name}.db")
    story = PlanningHarness(Database(sqlite_url(folder / f"{name}.db")), NIGHT)
    story.now = like.now
    return story


def _count(story: PlanningHarness) -> int:
    """Return how many statements the transaction has that tells."""
    seen: list[str] = []
    is_writing = False

    def note(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        nonlocal is_writing
        if statement.startswith("BEGIN"):
            is_writing = statement == BEGIN_WRITE
        if is_writing:
            seen.append(statement)

    event.listen(story.database.engine, "before_cursor_execute", note)
    dispatch_all(story.dispatcher, story.now)
    event.remove(story.database.engine, "before_cursor_execute", note)
    return len(seen)


class _killing:  # noqa: N801 - reads as what it does
    """Kill whoever is about to execute statement number `number` of write transactions, or to commit."""

    def __init__(self, database: Database, number: int) -> None:
        self._engine = database.engine
        self._left = number
        self._is_writing = False

    def _strike(
        self, _connection: Connection, _cursor: object = None, statement: str = "COMMIT", *_: object
    ) -> None:
        if statement.startswith("BEGIN"):
            self._is_writing = statement == BEGIN_WRITE
        self._left -= self._is_writing
        if self._left == 0:
            raise Killed

    def __enter__(self) -> None:
        for step in ("before_cursor_execute", "commit"):
            event.listen(self._engine, step, self._strike)

    def __exit__(self, *_: object) -> None:
        for step in ("before_cursor_execute", "commit"):
            event.remove(self._engine, step, self._strike)


def test_two_dispatchers_on_one_database(database: Database) -> None:
    """Two dispatchers plan each event and each repeat once."""
    story = PlanningHarness(database, channels("desk") + "routes: [{ channels: [desk], repeat: 1h }]")
    for number in range(40):
        story.open(f"a{number}", dispatch=False)
    for moment in (story.now, story.now + HOUR):
        others = [story.dispatching(channels("desk") + "routes: [{ channels: [desk], repeat: 1h }]")] * 2
        threads = [threading.Thread(target=dispatch_all, args=(one, moment)) for one in others]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    told = [(row["alertId"], row["change"]) for row in story.rows()]
    assert sorted(told) == sorted((f"a{n}", c) for n in range(40) for c in ("opened", "repeated"))


def test_unreadable_event(
    database: Database,
) -> None:
    """An event that cannot be decoded is skipped, the next one is dispatched."""
    story = PlanningHarness(database, NIGHT)
    story.open("a1", dispatch=False)
    story.open("a2", dispatch=False)
    with database.write() as connection:
        connection.execute(update(alert_events).where(alert_events.c.alertId == "a1").values(notice="{}"))
    story.step()
    assert story.deliveries("a1") == []
    assert story.deliveries("a2") == ["0 desk opened"]


def test_unreadable_escalation(database: Database) -> None:
    """An escalation state that cannot be decoded restarts and does not block the others."""
    story = PlanningHarness(database, NIGHT)
    story.open("a1")
    story.open("a2")
    with database.write() as connection:
        connection.execute(update(rows).where(rows.c.alertId == "a1").values(state="[]"))
    story.advance(5 * MINUTE)
    assert story.deliveries("a2")[-1] == "5 phone escalated"
    assert story.deliveries("a1")[-1] == "5 desk escalated"


@pytest.mark.parametrize("is_dispatched", [False, True])
def test_alert_removed_by_retention(database: Database, is_dispatched: bool) -> None:
    """Events and escalations of a deleted alert are skipped."""
    story = PlanningHarness(database, NIGHT)
    story.open("a1", dispatch=is_dispatched)
    story.change("resolved", "a1", dispatch=False)
    story.open("a2", dispatch=False)
    with database.write() as connection:
        connection.execute(delete(alerts).where(alerts.c.id == "a1"))
    story.step()
    assert story.deliveries("a2") == ["0 desk opened"]
    story.advance(5 * MINUTE)
    assert story.deliveries("a2")[-1] == "5 phone escalated"


def test_restored_backup(database: Database, tmp_path: Any) -> None:
    """With an older database it goes on from that database's cursor."""
    story = PlanningHarness(database, NIGHT)
    story.open("a1")
    with database.engine.connect() as connection:
        connection.exec_driver_sql(f"VACUUM INTO '{tmp_path / 'older.db'}'")
    story.open("a2")
    story.change("resolved")
    story.database = Database(sqlite_url(tmp_path / "older.db"))
    story.dispatcher = story.dispatching(NIGHT)
    story.open("a3")
    assert story.deliveries("a1") == ["0 desk opened"]
    assert story.deliveries("a3") == ["0 desk opened"]
    story.database.close()


def test_more_events_than_a_batch(database: Database) -> None:
    """Any number of events is dispatched in order."""
    story = PlanningHarness(database, channels("desk") + "routes: [{ channels: [desk] }]")
    for number in range(450):
        story.open(f"a{number}", dispatch=False)
    dispatch_all(story.dispatcher, story.now)
    assert [row["alertId"] for row in story.rows()] == [f"a{number}" for number in range(450)]


def test_wait_until_the_next_step(database: Database) -> None:
    """The wait ends when an escalation is due, after a second at most."""
    story = PlanningHarness(database, NIGHT)
    assert dispatch_all(story.dispatcher, story.now) == SECOND
    story.open()
    assert dispatch_all(story.dispatcher, story.now) == SECOND
    assert dispatch_all(story.dispatcher, story.now + 5 * MINUTE - SECOND / 4) == SECOND / 4


def test_hands_over_and_publishes(
    database: Database,
) -> None:
    """Channels with deliveries are handed them; a new timeline event is published."""
    story = PlanningHarness(database, NIGHT)
    story.open()
    assert (set(woken(story)), story.announcer.count) == ({"desk"}, 0)
    story.advance(5 * MINUTE)
    assert (set(woken(story)), story.announcer.count) == ({"desk", "phone"}, 1)


def test_self_alerts_are_published(database: Database) -> None:
    """The event of a self-alert is published, as no other part does."""
    story = PlanningHarness(database, NIGHT)
    trouble = SelfAlert("notification-channel", (("channel", "phone"),), "It fails", "undelivered", 1, 0)
    with database.write() as connection:
        open_self_alert(connection, build_alert(trouble, "notifier", "http://page", story.now), NO_MUTES)
    story.step()
    assert story.announcer.count == 1


def test_without_redis(database: Database) -> None:
    """While Redis is away escalations go on."""

    class Away(Silent):
        def publish(self) -> int:
            raise RedisConnectionError

    story = PlanningHarness(database, NIGHT)
    story.announcer = Away()
    story.dispatcher = story.dispatching(NIGHT)
    story.open()
    story.advance(5 * MINUTE)
    assert story.deliveries()[-1] == "5 phone escalated"


def test_old_beats_are_deleted(database: Database) -> None:
    """Watchdog beats go to the loopback channel and are deleted after ten minutes."""
    story = PlanningHarness(database, NIGHT)
    story.open(WATCHDOG)
    story.now += 11 * MINUTE
    story.change("repeated", WATCHDOG)
    assert story.deliveries(WATCHDOG) == ["11 watchdog:itself repeated"]


def test_an_error_is_reported_and_the_next_step_goes_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected error is shown by the check until a step works again."""
    story = PlanningHarness(database, NIGHT)
    story.open(dispatch=False)
    is_behind = escalations.is_behind

    def broken(_: Connection) -> bool:
        raise RuntimeError("unheard of")

    monkeypatch.setattr(escalations, "is_behind", broken)
    assert story.dispatcher.step(story.now, is_woken=False) == SECOND
    with pytest.raises(RuntimeError, match="unheard of"):
        story.dispatcher.check()
    monkeypatch.setattr(escalations, "is_behind", is_behind)
    assert story.dispatcher.step(story.now, is_woken=False) == timedelta(0)
    assert story.dispatcher.check() == "dispatching"
    assert story.deliveries() == ["0 desk opened"]
