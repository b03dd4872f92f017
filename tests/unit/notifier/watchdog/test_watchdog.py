"""The watchdog on a real Valkey, SQLite and receiver, with a clock of its own: told once, ended once."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from services.notifier.__main__ import LOCK_TIMEOUT_S
from services.notifier.watchdog.diagnosis import PART_RULE
from services.notifier.watchdog.out_of_band import OutOfBandSender
from services.notifier.watchdog.watchdog import (
    Watchdog,
    WatchdogMetrics,
    WatchedDatabases,
    describe_full_disk,
    describe_low_disk,
)
from shared.runtime import clock
from shared.runtime.databases import disk_of
from shared.runtime.redis.connection import CannotPersistError, connect_redis
from shared.runtime.redis.presence import EXPECTED_PARTS, PartPresence
from shared.runtime.redis.record_log import RecordLog, StreamEntry
from shared.schema import redis_keys
from shared.schema.alert_lifecycle import Transition
from shared.schema.alerts import Alert, Notice, build_notice
from shared.schema.silences import Matcher, SilenceRequest
from shared.schema.timestamps import to_store
from shared.schema.watchdog import watchdog_alert
from shared.store import alerts as store
from shared.store.alert_changes import apply_transition
from shared.store.database import Database, sqlite_url
from shared.store.deliveries import claim
from shared.store.out_of_band import is_dispatched, lease_deliveries, newest_event_id, oldest_unattempted
from shared.store.outbox import delivery_history
from shared.store.silences import put_silence
from shared.store.tables import notifications
from tests.notification_planning import deliver, dispatch_due, routing_config
from tests.support import free_port, time_until
from tests.unit.notifier import config
from tests.unit.notifier.fake_receivers import NOON, FakeContent, WebhookReceiver

pytestmark = pytest.mark.slow  # starts processes


class Yard:
    """A watchdog, the parts that it watches, and the usual way of telling, second by second."""

    def __init__(
        self, redis: Redis, database: Database, receiver: WebhookReceiver, lock_timeout_s: float
    ) -> None:
        self.redis = redis
        self.database = database
        self.receiver = receiver
        self.now = clock.now()
        self.living = set(EXPECTED_PARTS)
        self.damaged: dict[str, str] = {}
        self.usual: list[dict[str, Any]] = []
        """What the usual way told."""
        self.channels = {"desk": {"url": receiver.url}}
        self.store = Database(database.url, afresh=True, lock_timeout_s=lock_timeout_s)
        performance = Database(sqlite_url(Path(database.url.removeprefix("sqlite:///")).with_name("p.db")))
        with performance.write() as connection:
            connection.exec_driver_sql("CREATE TABLE log_position (x)")
        performance.close()  # an open connection would hide damage behind its WAL
        self.performance = Database(performance.url, afresh=True, lock_timeout_s=lock_timeout_s)
        self.begin()

    def begin(self) -> None:
        """Start a watchdog; one that ran before is gone."""
        documents = config.documents(msgspec.yaml.encode({"channels": self.channels}).decode())
        line = OutOfBandSender(lambda: (documents, lambda _: FakeContent()))
        self.watchdog = Watchdog(
            self.redis, WatchedDatabases(self.store, self.performance), line, "http://page", self.now
        )

    def step(self, seconds: int = 1) -> None:
        """Let seconds pass: who lives gives signs, hears the beat, and sends what is due."""
        self.now += timedelta(seconds=seconds)
        if living := self.living - {"watchdog"}:
            self.redis.hset(redis_keys.PARTS, mapping={part: self._sign(part) for part in living})
        if "notifier" in self.living:
            self._notify()
        self.watchdog.step(self.now)
        # What is sent directly is on its way by threads.
        time_until(lambda: not self._is_under_way())

    def _is_under_way(self) -> bool:
        raised = self.watchdog._raised.values()  # noqa: SLF001 - whose threads a second of the test waits for
        return any(one._under_way and one._outcomes.qsize() < one._under_way for one in raised)  # type: ignore[union-attr]  # noqa: SLF001

    def _sign(self, part: str) -> bytes:
        return msgspec.json.encode(
            PartPresence(
                part=part, host="here", pid=1, started_at=self.now, seen_at=self.now, damaged=self.damaged
            )
        )

    def _notify(self) -> None:
        if "evaluator" in self.living:
            with self.database.write() as connection:
                alert = watchdog_alert(self.now.timestamp(), self.now)
                apply_transition(connection, Transition("repeated", alert))
        dispatch_due(
            self.database, self.now, routing_config(channels=self.channels, routes=[{"channels": ["desk"]}])
        )
        delivered = deliver(self.database, self.now)
        self.usual += [msgspec.to_builtins(one.notice) for one in delivered if one.channel == "desk"]

    def seconds(self, count: int, every: int = 1) -> None:
        """Let time pass; with `every=5` in steps of the beat's interval, for quiet minutes."""
        for _ in range(0, count, every):
            self.step(every)

    def until(self, ask: Callable[[], object], most: int = 60) -> int:
        """Let time pass until something is so; return how many seconds."""
        for passed in range(1, most + 1):
            self.step()
            if ask():
                return passed
        raise AssertionError(f"not within {most} s")

    def direct(self) -> list[tuple[str, str]]:
        """Return what was told directly: message and change."""
        return [(body["message"], body["change"]) for body in self.receiver.bodies]

    def told(self) -> list[tuple[str, str]]:
        """Return what was told by the usual way."""
        return [(body["message"], body["change"]) for body in self.usual]

    def found(self) -> list[Alert]:
        """Return the alerts that are stored."""
        with self.database.read() as connection:
            return store.list_alerts(connection, limit=50)


@pytest.fixture
def lock_timeout_s() -> float:
    """Return how long the watchdog waits for a locked database."""
    return LOCK_TIMEOUT_S


@pytest.fixture
def yard(
    redis: Redis, database: Database, receiver: WebhookReceiver, lock_timeout_s: float
) -> Iterator[Yard]:
    """Yield a yard in which all has been well for a while."""
    yard = Yard(redis, database, receiver, lock_timeout_s)
    yard.seconds(30, every=5)
    assert (yard.found(), yard.direct(), yard.told()) == ([], [], [])
    yield yard
    yard.store.close()


EVALUATOR = "Evaluator is down: no rules are evaluated and no alerts open"
NOTIFIER = "Notifier is down: no other alerts are delivered"


def test_stopped_part_is_notified_by_the_notifier_alone(yard: Yard) -> None:
    yard.living.remove("evaluator")
    assert yard.until(yard.told, 30) < 20
    yard.seconds(60, every=5)
    up, problems = WatchdogMetrics(yard.watchdog.verdict).collect()
    assert [one.labels["part"] for one in up.samples if not one.value] == ["evaluator"]
    assert [one.value for one in problems.samples] == [1]
    yard.living.add("evaluator")
    yard.seconds(60, every=5)
    assert yard.told() == [(EVALUATOR, "opened"), (EVALUATOR, "resolved")]
    assert yard.direct() == []
    (alert,) = yard.found()
    assert (alert.status, alert.details.origin, alert.details.runbook) == ("RESOLVED", "watchdog", PART_RULE)


def test_watchdog_notifies_while_the_notifier_is_down(
    yard: Yard,
) -> None:
    yard.living.remove("notifier")
    assert yard.until(yard.direct) < 25
    yard.seconds(120, every=5)
    assert yard.direct() == [(NOTIFIER, "opened")]
    yard.living.add("notifier")
    yard.seconds(60, every=5)
    assert yard.direct() == [(NOTIFIER, "opened")]
    assert yard.told() == [(NOTIFIER, "resolved")]
    (alert,) = yard.found()
    with yard.database.read() as connection:
        rows = [
            (row["change"], row["channel"], row["state"]) for row in delivery_history(connection, alert.id)
        ]
        assert delivery_history(connection, alert.id)[0]["reason"] == "sent out of band by the watchdog"
    assert rows == [("opened", "desk", "SENT"), ("resolved", "desk", "SENT")]


def test_returning_notifier_does_not_repeat_the_watchdog(
    database: Database, receiver: WebhookReceiver
) -> None:
    notice = raised_by(database)
    with database.write() as connection:
        event = newest_event_id(connection, notice.id, "opened")
        assert event
        lease_deliveries(connection, event, notice, [("desk", ())], NOON)
    dispatch_due(database, NOON, routing_config(channels={"desk": {"url": receiver.url}}))
    with database.write() as connection:
        assert not is_dispatched(connection, event, NOON)
        assert claim(connection, "desk", "notifier", NOON + timedelta(seconds=19)) == []
        # A watchdog that died meanwhile holds it no longer.
        assert len(claim(connection, "desk", "notifier", NOON + timedelta(seconds=21))) == 1


def raised_by(database: Database) -> Notice:
    """Store an alert about Botwatch."""
    alert = config.alert("botwatch-part-down")
    with database.write() as connection:
        store.insert_alert(connection, alert)
        store.add_event(connection, alert, "opened", NOON)
    return build_notice(alert, "opened")


def test_redis_away_is_one_alert_that_ends_when_it_is_back(yard: Yard) -> None:
    yard.watchdog._redis = connect_redis(  # noqa: SLF001 - as if it were away for the watchdog
        f"redis://127.0.0.1:{free_port()}/0", call_timeout_s=0.2, retries=0
    )
    assert yard.until(yard.told, 30) < 25
    yard.seconds(30, every=5)
    yard.watchdog._redis = yard.redis  # noqa: SLF001
    yard.seconds(60, every=5)
    words = "Redis is down: no records are accepted and no rules are evaluated"
    assert yard.told() == [(words, "opened"), (words, "resolved")]


@pytest.mark.parametrize("lock_timeout_s", [0.02])
def test_locked_database_is_notified_out_of_band_and_recorded_later(
    yard: Yard,
) -> None:
    path = yard.database.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        yard.living -= {"notifier"}
        other.execute("BEGIN IMMEDIATE")
        assert yard.until(yard.direct, 30) < 25
        other.execute("ROLLBACK")
    words = (
        "health.db is unavailable (database is locked): "
        "alerts cannot open or resolve, and no notifications are sent"
    )
    assert (words, "opened") in yard.direct()
    yard.living = set(EXPECTED_PARTS)
    yard.seconds(60, every=5)
    assert yard.direct().count((words, "opened")) == 1
    assert [change for message, change in yard.told() if message == words] == ["resolved"]
    assert {alert.status for alert in yard.found()} == {"RESOLVED"}


def test_a_store_that_was_moved_aside_is_told_and_is_not_made_anew(yard: Yard) -> None:
    path = Path(yard.database.url.removeprefix("sqlite:///"))
    yard.living -= {"notifier"}
    aside = path.with_name("aside.db")
    path.rename(aside)
    yard.until(lambda: any("health.db does not exist" in message for message, _ in yard.direct()), 30)
    assert not path.exists()
    aside.rename(path)


def test_restarted_watchdog_neither_repeats_nor_loses_open_alerts(yard: Yard) -> None:
    yard.living.remove("notifier")
    yard.until(yard.direct)
    yard.seconds(3)
    yard.begin()
    yard.seconds(120, every=5)
    assert yard.direct() == [(NOTIFIER, "opened")]
    assert [alert.status for alert in yard.found()] == ["ACTIVE"]
    yard.living.add("notifier")
    yard.seconds(30, every=5)
    assert [alert.status for alert in yard.found()] == ["RESOLVED"]
    assert yard.told() == [(NOTIFIER, "resolved")]


def test_a_watchdog_that_is_killed_before_it_told_tells_after_its_restart(yard: Yard) -> None:
    yard.living.remove("notifier")
    yard.until(yard.found)
    yard.begin()
    yard.until(yard.direct, 10)
    yard.seconds(30, every=5)
    assert yard.direct() == [(NOTIFIER, "opened")]


def test_failed_out_of_band_notification_is_retried_and_sent_once(yard: Yard) -> None:
    yard.receiver.answers = [(500, {})]
    yard.living.remove("notifier")
    yard.until(lambda: len(yard.direct()) == 2, 90)
    yard.seconds(60, every=5)
    assert len(yard.direct()) == 2
    yard.living.add("notifier")
    yard.seconds(30, every=5)
    assert yard.told() == [(NOTIFIER, "resolved")]


def test_trouble_that_is_silenced_stays_silent(yard: Yard) -> None:
    matcher = Matcher(name="part", value="notifier")
    hours = timedelta(hours=1)
    request = SilenceRequest(matchers=[matcher], ends_at=yard.now + hours, created_by="ann", comment="")
    with yard.database.write() as connection:
        put_silence(connection, request, "s1", yard.now)
    yard.living.remove("notifier")
    yard.seconds(60, every=5)
    yard.living.add("notifier")
    yard.seconds(30, every=5)
    assert (yard.direct(), yard.told()) == ([], [])
    (alert,) = yard.found()
    assert alert.status == "RESOLVED"
    assert (alert.details.muted_by or "").startswith("silenced by ann until ")


def test_silence_mutes_a_self_alert_while_it_is_active(yard: Yard) -> None:
    yard.living.remove("recorder")
    yard.until(yard.told)
    request = SilenceRequest(
        matchers=[Matcher(name="alertname", value=PART_RULE)], ends_at=yard.now + timedelta(seconds=60),
        created_by="ann", comment="",
    )  # fmt: skip
    with yard.database.write() as connection:
        put_silence(connection, request, "s1", yard.now)
    yard.seconds(3)
    (alert,) = yard.found()
    assert (alert.details.muted_by or "").startswith("silenced by ann until ")
    yard.seconds(90, every=5)
    (alert,) = yard.found()
    assert alert.details.muted_by is None
    with yard.database.read() as connection:
        happened = [event["change"] for event in store.timeline(connection, alert.id)]
    assert happened == ["opened", "muted", "unmuted"]


def test_trouble_whose_silence_ends_before_it_does_is_told_then(yard: Yard) -> None:
    request = SilenceRequest(
        matchers=[Matcher(name="part", value="recorder")], ends_at=yard.now + timedelta(seconds=60),
        created_by="ann", comment="",
    )  # fmt: skip
    with yard.database.write() as connection:
        put_silence(connection, request, "s1", yard.now)
    yard.living.remove("recorder")
    yard.seconds(50, every=5)
    assert yard.told() == []
    yard.seconds(15)
    assert [change for _, change in yard.told()] == ["unmuted"]
    assert yard.direct() == []


def test_a_dispatcher_that_hangs_is_told_directly(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yard, "_notify", lambda: None)
    with yard.database.write() as connection:
        store.add_event(connection, watchdog_alert(1, yard.now), "repeated", yard.now)
    assert yard.until(yard.direct) < 30
    assert yard.direct()[0] == ("Notification delivery has stalled", "opened")


def put_pending(database: Database, count: int, **columns: object) -> None:
    """Write deliveries to the channel `slow` that are due, the oldest with `columns`."""
    with database.write() as connection:
        alert = config.alert()
        store.insert_alert(connection, alert)
        for number in range(count):
            event = store.add_event(connection, alert, "opened", NOON)
            row = {
                "alertId": alert.id, "eventId": event, "channel": "slow", "change": "opened", "body": "{}",
                "state": "PENDING", "createdAt": to_store(NOON), "nextAttemptAt": to_store(NOON),
            }  # fmt: skip
            connection.execute(notifications.insert().values(row | (columns if number == 0 else {})))


@pytest.mark.parametrize(
    "columns", [{"attempts": 1}, {"state": "SENT", "sentAt": to_store(NOON - timedelta(seconds=30))}]
)
def test_a_channel_that_makes_a_pause_is_not_taken_for_one_that_hangs(
    database: Database, columns: dict[str, object]
) -> None:
    put_pending(database, 3, **columns)
    with database.read() as connection:
        assert oldest_unattempted(connection, NOON) is None


@pytest.mark.parametrize(
    "columns",
    [
        {"heldUntil": to_store(NOON + timedelta(hours=1))},
        {"leaseUntil": to_store(NOON + timedelta(seconds=1))},
    ],
)
def test_what_is_held_or_being_sent_is_not_untouched(database: Database, columns: dict[str, object]) -> None:
    put_pending(database, 1, **columns)
    with database.read() as connection:
        assert oldest_unattempted(connection, NOON) is None


def test_what_is_due_and_what_a_dead_lane_had_in_hand_is_untouched(database: Database) -> None:
    put_pending(database, 2, leaseUntil=to_store(NOON - timedelta(seconds=1)))
    with database.read() as connection:
        assert oldest_unattempted(connection, NOON) == 1


def test_the_beat_enters_the_log_every_five_seconds_by_the_clock(yard: Yard) -> None:
    yard.redis.delete(redis_keys.record_stream())
    yard.seconds(20)
    entries = cast("list[StreamEntry]", yard.redis.xrange(redis_keys.record_stream()))
    beats = [int(fields[redis_keys.BEAT]) for _, fields in entries]
    assert beats == list(range(beats[0], beats[0] + 20, 5))
    assert beats[0] % 5 == 0


def test_refused_bots(yard: Yard) -> None:
    """Records of new bots that are refused open an alert; an unreadable count is none."""
    yard.redis.hset(redis_keys.COUNTERS, "evicted|each", "garbage")
    yard.seconds(2)
    RecordLog(yard.redis).count_refused_bots(3)
    yard.seconds(2)
    (alert,) = yard.found()
    assert (alert.details.rule, alert.details.value) == ("botwatch-too-many-bots", 3)


def test_damaged_performance_database(yard: Yard) -> None:
    """It is an alert of its own that names the file, and ends when the file is whole again."""
    path = Path(yard.performance.url.removeprefix("sqlite:///"))
    whole = path.read_bytes()
    path.write_bytes(b"\xff" * 20_000)
    yard.until(yard.told, 20)
    path.write_bytes(whole)
    yard.seconds(8)
    words = "p.db is damaged (file is not a database): records stay in the log and are missing on the page"
    assert yard.told() == [(words, "opened"), (words, "resolved")]
    (alert,) = yard.found()
    assert (alert.details.rule, alert.details.labels) == ("botwatch-store-away", {"database": "performance"})


def test_damage_that_a_part_found(yard: Yard) -> None:
    """Damage deep in a file is found by those who read it, and told with their sign of life."""
    yard.damaged = {"p.db": "database disk image is malformed"}
    yard.until(yard.told, 20)
    yard.damaged = {}
    yard.seconds(8)
    assert [change for _, change in yard.told()] == ["opened", "resolved"]
    assert yard.told()[0][0].startswith("p.db is damaged (database disk image is malformed): records stay")


class Usage(NamedTuple):
    """What `shutil.disk_usage` returns."""

    total: int
    used: int
    free: int


def test_the_folder_of_a_database_without_space_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to do stands in the message."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(50 * 2**20, 49 * 2**20, 2**20))
    said = describe_full_disk(disk_of(sqlite_url(tmp_path / "health.db")), None) or ""
    assert said.startswith("Disk full on ")
    assert f"{tmp_path}: 1.0 of 50 MiB free. Free space" in said


def test_low_space_says_what_pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what comes next."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(64 * 2**20, 0, 20 * 2**20))
    disk = disk_of(sqlite_url(tmp_path / "health.db"))
    assert describe_full_disk(disk, None) is None
    said = describe_low_disk(disk) or ""
    assert said.startswith("Disk space low on ")
    assert "below 16 MiB records wait in the log, below 8 MiB they are rejected" in said


def test_the_disk_of_redis_is_told_by_its_answer(tmp_path: Path) -> None:
    """Redis may run on another machine."""
    error = CannotPersistError(
        "Errors writing to the AOF file: No space left on device script: 12ab, on @user"
    )
    said = describe_full_disk(disk_of(sqlite_url(tmp_path / "health.db")), error) or ""
    assert said.startswith(
        "Disk full on the Redis host: Errors writing to the AOF file: No space left on device. Free"
    )


def test_with_space_no_disk_is_full(tmp_path: Path) -> None:
    """Another reason to refuse is no full disk, and neither is a database on a server."""
    assert describe_full_disk(disk_of(sqlite_url(tmp_path / "health.db")), OutOfMemoryError("x")) is None
    assert describe_full_disk(disk_of(sqlite_url(tmp_path / "gone" / "health.db")), None) is None
    assert describe_full_disk(disk_of("postgresql://host/db"), None) is None
