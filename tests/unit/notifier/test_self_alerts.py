"""Alerts about Botwatch itself: opened once, silenced like others, told around what is broken."""

from datetime import timedelta

import pytest

from services.notifier.self_alerts import SelfAlert, build_alert, open_self_alert, resolve_self_alert
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
        alert = open_self_alert(connection, build_alert(trouble, "notifier", "http://page", story.now))
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
