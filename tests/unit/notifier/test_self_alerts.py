"""Alerts about Botwatch itself: opened once, silenced like others, told around what is broken."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from services.notifier.self_alert_store import open_self_alert, resolve_self_alert, update_self_alerts
from services.notifier.self_alerts import SelfAlert, build_alert
from shared.runtime.config.documents import Documents, HealthMonitor, PerformanceLogger
from shared.runtime.config.mute_config import parse_mute_config
from shared.runtime.config.notifications import Notifications
from shared.schema.muting import NO_MUTES, MuteConfig
from shared.schema.silences import Matcher, SilenceRequest
from shared.store.database import Database
from shared.store.silences import put_silence
from tests.unit.notifier.planning_harness import HOUR, PlanningHarness

TROUBLE = SelfAlert(
    rule="notification-channel",
    labels=(("channel", "phone"),),
    message="Channel phone is failing",
    metric="undelivered",
    value=1,
    threshold=0,
    severity="HIGH",
    runbook="botwatch-notifications-fail",
)
TEXT = """
channels:
  phone: { url: "http://127.0.0.1:9/phone", fallback: desk }
  desk: { url: "http://127.0.0.1:9/desk" }
  mail: { url: "http://127.0.0.1:9/mail", fallback: phone }
  lone: { url: "http://127.0.0.1:9/lone" }
people: { ann: { contacts: [phone, mail] } }
"""


def raise_it(story: PlanningHarness, trouble: SelfAlert = TROUBLE) -> str | None:
    """Open the alert and return its id."""
    with story.database.write() as connection:
        alert = open_self_alert(
            connection, build_alert(trouble, "notifier", "http://page", story.now), NO_MUTES
        )
    story.step()
    return alert.id if alert else None


def test_it_opens_once_and_ends_once(database: Database) -> None:
    story = PlanningHarness(database, TEXT + "routes: [{ channels: [desk] }]")
    opened = raise_it(story)
    assert opened
    assert raise_it(story) is None
    for is_first in (True, False):
        with database.write() as connection:
            assert (resolve_self_alert(connection, TROUBLE.fingerprint, story.now) is not None) == is_first
    story.step()
    assert story.deliveries(opened) == ["0 desk opened", "0 desk resolved"]
    assert raise_it(story) not in (None, opened)


def test_it_says_what_to_do_and_where(database: Database) -> None:
    story = PlanningHarness(database, TEXT)
    opened = raise_it(story)
    assert opened
    details = story.alert(opened).details
    assert details.links["runbook"] == "http://page/runbooks/botwatch-notifications-fail"
    assert (details.origin, details.labels) == ("notifier", {"channel": "phone"})


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("[phone]", ["desk"]),
        ("[phone, desk]", ["desk"]),
        ("[ann]", ["mail"]),
        ("[mail]", ["mail"]),
        ("[lone, phone]", ["lone", "desk"]),
    ],
)
def test_it_is_told_around_the_channel_that_it_is_about(
    database: Database, names: str, expected: list[str]
) -> None:
    story = PlanningHarness(database, f"{TEXT}routes: [{{ channels: {names}, repeat: 1h }}]")
    opened = raise_it(story)
    assert opened
    story.advance(HOUR)
    assert story.deliveries(opened) == [
        *(f"0 {name} opened" for name in expected),
        *(f"60 {name} repeated" for name in expected),
    ]


def test_an_alert_of_a_bot_with_such_a_label_is_told_as_any_other(database: Database) -> None:
    story = PlanningHarness(database, TEXT + "routes: [{ channels: [phone] }]")
    story.open(channel="phone")
    assert story.deliveries() == ["0 phone opened"]


def test_a_silence_keeps_it_back(database: Database) -> None:
    story = PlanningHarness(database, TEXT + "routes: [{ channels: [desk] }]")
    request = SilenceRequest(
        matchers=[Matcher("alertname", "notification-channel")],
        ends_at=story.now + timedelta(hours=1),
        created_by="ann",
    )
    with database.write() as connection:
        put_silence(connection, request, "s1", story.now)
    opened = raise_it(story)
    assert opened
    assert story.deliveries(opened) == ["(desk opened)"]
    assert (story.alert(opened).details.muted_by or "").startswith("silenced by ann until ")


def mute_config(**sections: Any) -> MuteConfig:
    given = msgspec.convert(sections, Notifications)
    return parse_mute_config(Documents(PerformanceLogger(), HealthMonitor(), given))


def test_a_maintenance_window_keeps_it_back_until_its_end(database: Database) -> None:
    story = PlanningHarness(database, TEXT + "routes: [{ channels: [desk] }]")
    begin, end = story.now - HOUR, story.now + HOUR
    windows = mute_config(
        maintenance=[{"name": "move", "match": {"component": "botwatch"}, "from": begin, "until": end}]
    )
    with database.write() as connection:
        alert = open_self_alert(connection, build_alert(TROUBLE, "notifier", "", story.now), windows)
    story.step()
    assert alert
    assert story.deliveries(alert.id) == ["(desk opened)"]
    assert (alert.details.muted_by or "").startswith("muted by the maintenance window move until ")
    story.now = end
    with database.write() as connection:
        (changed,) = update_self_alerts(connection, windows, story.now)
    story.step()
    assert changed.details.muted_by is None
    assert story.deliveries(alert.id) == ["(desk opened)", "60 desk unmuted"]


def test_an_inhibition_does_not_apply_to_it(database: Database) -> None:
    everything = mute_config(inhibit=[{"source": {"alertname": "*"}, "target": {"alertname": "*"}}])
    story = PlanningHarness(database, TEXT)
    story.open("other")
    with database.write() as connection:
        alert = open_self_alert(connection, build_alert(TROUBLE, "notifier", "", story.now), everything)
        assert alert
        assert list(update_self_alerts(connection, everything, story.now)) == []
    assert alert.details.muted_by is None


def test_its_acknowledgement_expires(database: Database) -> None:
    story = PlanningHarness(database, TEXT + "routes: [{ channels: [desk] }]")
    opened = raise_it(story)
    assert opened
    story.acknowledge(opened, story.now + HOUR)
    for passed, status in ((HOUR / 2, "ACKNOWLEDGED"), (HOUR / 2, "ACTIVE")):
        story.now += passed
        with database.write() as connection:
            list(update_self_alerts(connection, NO_MUTES, story.now))
        assert story.alert(opened).status == status
