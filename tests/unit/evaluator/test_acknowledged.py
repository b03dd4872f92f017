"""Acknowledgements for a time, on a real Valkey and SQLite: when they end, and who is told."""

from tests.unit.evaluator.desk import BOT_A, HOUR, Begin


def test_an_acknowledgement_for_a_time_ends_and_is_told(begin: Begin) -> None:
    desk = begin()
    desk.report(15)
    desk.acknowledge("ann", desk.now() + HOUR)
    desk.look()
    assert desk.timeline() == ["opened", "acknowledged"]
    desk.shift = HOUR
    desk.look()
    alert = desk.alert()
    assert (alert.status, alert.assignee, alert.acknowledged_until, alert.comment) == (
        "ACTIVE",
        None,
        None,
        None,
    )
    assert (desk.timeline(), desk.told()) == (
        ["opened", "acknowledged", "unacknowledged"],
        ["opened", "unacknowledged"],
    )
    assert desk.events()[-1]["comment"] == "the acknowledgement by ann was for a time"
    desk.look()
    assert len(desk.timeline()) == 3


def test_an_acknowledgement_for_a_time_outlasts_that_the_alert_gets_graver(begin: Begin) -> None:
    desk = begin()
    desk.report(15)
    until = desk.now() + HOUR
    desk.acknowledge("ann", until)
    desk.report(25)
    assert desk.alert().status == "ACKNOWLEDGED"
    desk.shift = HOUR
    desk.look()
    assert desk.timeline() == ["opened", "acknowledged", "raised", "unacknowledged"]


def test_an_acknowledgement_for_good_stays(begin: Begin) -> None:
    desk = begin()
    desk.report(15)
    desk.acknowledge("ann", desk.now() + HOUR)
    desk.acknowledge("bob")
    desk.shift = 2 * HOUR
    desk.look()
    assert (desk.alert().status, desk.alert().assignee) == ("ACKNOWLEDGED", "bob")


def test_an_acknowledgement_that_ends_in_a_silence_is_kept_back_until_after_it(begin: Begin) -> None:
    desk = begin()
    desk.report(15)
    desk.acknowledge("ann", desk.now() + HOUR)
    desk.silence(BOT_A, ends_at=desk.now() + 2 * HOUR)
    desk.shift = HOUR
    desk.look()
    assert desk.told() == ["opened", "(unacknowledged)"]
    desk.shift = 2 * HOUR
    desk.look()
    assert desk.told() == ["opened", "(unacknowledged)", "unmuted"]
