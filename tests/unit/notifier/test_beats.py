"""The beat on its way from the timeline: Botwatch hears each, the URL some, and none is kept long."""

from datetime import datetime, timedelta

from sqlalchemy import func, select

from services.notifier.planning.routing_config import RoutingConfig
from shared.schema.alert_lifecycle import Transition
from shared.schema.timestamps import from_store
from shared.schema.watchdog import LOOPBACK_CHANNEL, WATCHDOG_URL_CHANNEL, watchdog_alert
from shared.store.alert_changes import apply_transition
from shared.store.database import Database
from shared.store.outbox import pending_by_channel
from shared.store.tables import alert_events, notifications
from tests.notification_planning import dispatch_due, routing_config
from tests.unit.notifier.fake_receivers import NOON


def beat(database: Database, now: datetime, plan: RoutingConfig) -> None:
    with database.write() as connection:
        apply_transition(connection, Transition("repeated", watchdog_alert(now.timestamp(), now)))
    dispatch_due(database, now, plan)


def asked(database: Database, channel: str) -> list[int]:
    """Return the seconds after noon of the beats that a channel hears."""
    with database.read() as connection:
        of_channel = notifications.c.channel == channel
        moments = connection.execute(
            select(notifications.c.createdAt).where(of_channel).order_by(notifications.c.id)
        ).scalars()
        return [round((from_store(one) - NOON).total_seconds()) for one in moments]


def beats(database: Database, seconds: list[float], every: str) -> list[int]:
    plan = routing_config(watchdog={"url": "http://127.0.0.1:9/", "every": every})
    for second in seconds:
        beat(database, NOON + timedelta(seconds=second), plan)
    return asked(database, WATCHDOG_URL_CHANNEL)


def test_botwatch_hears_every_beat_and_without_a_url_nobody_else(database: Database) -> None:
    for second in (0, 5, 10):
        beat(database, NOON + timedelta(seconds=second), routing_config())
    assert asked(database, LOOPBACK_CHANNEL) == [0, 5, 10]
    assert asked(database, WATCHDOG_URL_CHANNEL) == []


def test_the_url_is_asked_at_its_interval(database: Database) -> None:
    unsteady = [second + (0 if second % 120 else 0.4) for second in range(0, 181, 5)]
    assert beats(database, unsteady, "1m") == [0, 60, 120, 180]


def test_after_a_pause_the_url_is_asked_at_once(database: Database) -> None:
    assert beats(database, [*range(0, 91, 5), *range(212, 280, 5)], "1m") == [0, 60, 212, 272]


def test_an_interval_longer_than_beats_are_kept_is_kept_to(database: Database) -> None:
    """The first one, at noon, is forgotten by then."""
    assert beats(database, list(range(0, 7300, 60)), "1h") == [3600, 7200]


def test_a_clock_that_is_set_back_does_not_silence_the_url(database: Database) -> None:
    assert beats(database, [0, 5, -3600, -3595, -3540], "1m") == [0, -3600, -3540]


def test_beats_that_wait_are_not_counted_as_notices_to_send(database: Database) -> None:
    beat(database, NOON, routing_config())
    with database.read() as connection:
        assert pending_by_channel(connection) == {}


def test_beats_of_long_ago_and_their_deliveries_are_dropped(database: Database) -> None:
    for minute in range(60):
        beat(database, NOON + timedelta(minutes=minute), routing_config())
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(alert_events)).scalar() == 11
        assert connection.execute(select(func.count()).select_from(notifications)).scalar() == 11
