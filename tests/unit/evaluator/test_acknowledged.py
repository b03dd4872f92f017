"""Timed acknowledgements, on a real Valkey and SQLite: when they expire, and what is notified."""

from tests.unit.evaluator.evaluator_harness import BOT_A, HOUR, StartEvaluator


def test_a_timed_acknowledgement_expires_and_is_notified(begin: StartEvaluator) -> None:
    desk = begin()
    desk.send_metric(15)
    desk.acknowledge("ann", desk.now() + HOUR)
    desk.apply_mutes()
    assert desk.timeline() == ["opened", "acknowledged"]
    desk.shift = HOUR
    desk.apply_mutes()
    alert = desk.alert()
    assert (alert.status, alert.assignee, alert.acknowledged_until, alert.comment) == (
        "ACTIVE",
        None,
        None,
        None,
    )
    assert (desk.timeline(), desk.deliveries()) == (
        ["opened", "acknowledged", "unacknowledged"],
        ["opened", "unacknowledged"],
    )
    assert desk.events()[-1]["comment"] == "acknowledgement by ann expired"
    desk.apply_mutes()
    assert len(desk.timeline()) == 3


def test_a_timed_acknowledgement_survives_a_raised_severity(begin: StartEvaluator) -> None:
    desk = begin()
    desk.send_metric(15)
    until = desk.now() + HOUR
    desk.acknowledge("ann", until)
    desk.send_metric(25)
    assert desk.alert().status == "ACKNOWLEDGED"
    desk.shift = HOUR
    desk.apply_mutes()
    assert desk.timeline() == ["opened", "acknowledged", "raised", "unacknowledged"]


def test_an_acknowledgement_for_good_stays(begin: StartEvaluator) -> None:
    desk = begin()
    desk.send_metric(15)
    desk.acknowledge("ann", desk.now() + HOUR)
    desk.acknowledge("bob")
    desk.shift = 2 * HOUR
    desk.apply_mutes()
    assert (desk.alert().status, desk.alert().assignee) == ("ACKNOWLEDGED", "bob")


def test_an_acknowledgement_expiring_in_a_silence_is_notified_after_it(begin: StartEvaluator) -> None:
    desk = begin()
    desk.send_metric(15)
    desk.acknowledge("ann", desk.now() + HOUR)
    desk.silence(BOT_A, ends_at=desk.now() + 2 * HOUR)
    desk.shift = HOUR
    desk.apply_mutes()
    assert desk.deliveries() == ["opened", "(unacknowledged)"]
    desk.shift = 2 * HOUR
    desk.apply_mutes()
    assert desk.deliveries() == ["opened", "(unacknowledged)", "unmuted"]
