"""Muted alerts, on a real Valkey and SQLite: who is told what, and when."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import update

from services.evaluator.mute_schedule import MuteSchedule
from shared.rules.subject import alert_key
from shared.runtime import clock
from shared.runtime.config.mute_config import parse_mute_config
from shared.runtime.config.rules import load_rules
from shared.schema.muting import MuteConfig
from shared.schema.silences import Matcher
from shared.store import deliveries, outbox
from shared.store.database import Database
from shared.store.tables import silences
from tests.unit.evaluator.evaluator_harness import BOT_A, HOUR, INHIBIT, StartEvaluator, documents


def test_what_opens_while_it_is_silenced_is_kept_back_and_says_why(
    begin: StartEvaluator, health: Database
) -> None:
    desk = begin()
    desk.silence(BOT_A, comment="new strategy")
    desk.send_metric(15)
    alert = desk.alert()
    assert (alert.status, alert.details.silence) == ("ACTIVE", "silence-ann")
    assert alert.details.muted_by
    assert alert.details.muted_by.startswith("silenced by ann until ")
    assert (desk.timeline(), desk.deliveries(), desk.deliveries("email")) == (
        ["opened", "muted"],
        ["(opened)"],
        ["(opened)"],
    )
    assert [desk.events()[1][name] for name in ("by", "comment")] == ["ann", alert.details.muted_by]
    with health.read() as connection:
        assert outbox.delivery_history(connection, alert.id)[0]["lastError"] == alert.details.muted_by
        assert outbox.pending_by_channel(connection) == {}
    with health.write() as connection:
        assert deliveries.claim(connection, "webhook", "me", desk.now()) == []


def test_an_open_alert_is_notified_when_its_silence_ends(begin: StartEvaluator) -> None:
    desk = begin()
    silence = desk.silence(BOT_A)
    desk.send_metric(15)
    desk.end(silence, "bob")
    desk.apply_mutes()
    assert (desk.timeline(), desk.deliveries()) == (["opened", "muted", "unmuted"], ["(opened)", "unmuted"])
    assert (desk.events()[-1]["by"], desk.alert().details.muted_by) == ("bob", None)
    desk.send_metric(1)
    assert desk.deliveries() == ["(opened)", "unmuted", "resolved"]


def test_a_silence_runs_out_at_its_time_though_no_record_comes(begin: StartEvaluator) -> None:
    desk = begin()
    desk.silence(BOT_A)
    desk.send_metric(15)
    desk.shift = HOUR
    desk.apply_mutes()
    assert (desk.timeline(), desk.deliveries()) == (["opened", "muted", "unmuted"], ["(opened)", "unmuted"])
    assert desk.events()[-1]["by"] is None


def test_the_resolution_of_an_unnotified_alert_is_not_notified(begin: StartEvaluator) -> None:
    desk = begin()
    silence = desk.silence(BOT_A)
    desk.send_metric(15)
    desk.send_metric(1)
    desk.end(silence, "ann")
    desk.apply_mutes()
    assert (desk.timeline(), desk.deliveries()) == (["opened", "muted", "resolved"], ["(opened)"])


def test_recipients_of_the_opening_get_the_resolution_despite_a_silence(
    begin: StartEvaluator,
) -> None:
    desk = begin()
    desk.send_metric(15)
    desk.silence(BOT_A)
    desk.apply_mutes()
    assert desk.timeline() == ["opened", "muted"]
    desk.send_metric(1)
    assert desk.deliveries() == ["opened", "resolved"]


def test_an_alert_notified_before_a_silence_is_not_notified_after_it(begin: StartEvaluator) -> None:
    desk = begin()
    desk.send_metric(15)
    silence = desk.silence(BOT_A)
    desk.apply_mutes()
    desk.end(silence, "ann")
    desk.apply_mutes()
    assert (desk.timeline(), desk.deliveries()) == (["opened", "muted", "unmuted"], ["opened"])


def test_a_severity_raised_in_a_silence_is_notified_after_it(begin: StartEvaluator) -> None:
    desk = begin()
    desk.send_metric(15)
    silence = desk.silence(BOT_A)
    desk.send_metric(25)
    assert desk.deliveries() == ["opened", "(raised)"]
    desk.end(silence, "ann")
    desk.apply_mutes()
    assert desk.deliveries() == ["opened", "(raised)", "unmuted"]


def test_a_silence_on_one_severity_lets_a_higher_one_through_once(begin: StartEvaluator) -> None:
    desk = begin()
    desk.silence(Matcher("severity", "MEDIUM"))
    desk.send_metric(15)
    desk.send_metric(25)
    assert (desk.timeline(), desk.deliveries()) == (
        ["opened", "muted", "raised", "unmuted"],
        ["(opened)", "raised"],
    )


def test_reopening_and_resolving_in_a_silence_sends_no_second_resolution(
    begin: StartEvaluator,
) -> None:
    desk = begin()
    desk.send_metric(15)
    desk.send_metric(1)
    desk.silence(BOT_A)
    desk.send_metric(15)
    desk.send_metric(1)
    assert desk.timeline() == ["opened", "resolved", "reopened", "muted", "resolved"]
    assert desk.deliveries() == ["opened", "resolved", "(reopened)"]


def test_an_alert_resolved_in_a_silence_and_reopened_after_it_is_notified(begin: StartEvaluator) -> None:
    desk = begin()
    silence = desk.silence(BOT_A)
    desk.send_metric(15)
    desk.send_metric(1)
    desk.end(silence, "ann")
    desk.send_metric(15)
    assert desk.timeline() == ["opened", "muted", "resolved", "reopened"]
    assert desk.deliveries() == ["(opened)", "reopened"]


def test_a_silence_of_other_alerts_keeps_nothing_back(begin: StartEvaluator) -> None:
    desk = begin()
    desk.silence(Matcher("bot", "b"))
    desk.send_metric(15)
    assert (desk.timeline(), desk.deliveries()) == (["opened"], ["opened"])


def test_a_longer_silence_is_said_on_the_timeline(begin: StartEvaluator) -> None:
    desk = begin()
    desk.silence(BOT_A)
    desk.send_metric(15)
    desk.silence(BOT_A, id="silence-ann", ends_at=desk.now() + 2 * HOUR)
    desk.apply_mutes()
    assert (desk.timeline(), desk.deliveries()) == (["opened", "muted", "muted"], ["(opened)"])


def test_a_maintenance_window_ends_at_its_time(begin: StartEvaluator) -> None:
    now = clock.now()
    window = {"name": "move", "match": {"bot": "a"}, "from": now - HOUR, "until": now + HOUR}
    desk = begin(maintenance=[window])
    desk.send_metric(15)
    assert desk.deliveries() == ["(opened)"]
    desk.shift = HOUR
    desk.apply_mutes()
    assert (desk.timeline(), desk.deliveries()) == (["opened", "muted", "unmuted"], ["(opened)", "unmuted"])
    assert desk.events()[-1]["comment"].startswith("no longer muted: muted by the maintenance window move")


def test_an_alert_inhibits_later_alerts_and_open_ones(begin: StartEvaluator) -> None:
    desk = begin(inhibit=INHIBIT)
    desk.send_metric(1, "fire")
    desk.send_metric(15)
    assert (desk.timeline(), desk.deliveries()) == (["opened", "muted"], ["(opened)"])
    assert desk.alert().details.muted_by == "inhibited by fire on a"
    desk.send_metric(0, "fire")
    assert (desk.timeline(), desk.deliveries()) == (["opened", "muted", "unmuted"], ["(opened)", "unmuted"])
    desk.send_metric(1, "fire")
    assert desk.timeline() == ["opened", "muted", "unmuted", "muted"]
    assert desk.timeline("fire") == ["opened", "resolved", "reopened"]


def test_a_killed_evaluator_restores_mutes_and_ends_them(begin: StartEvaluator) -> None:
    desk = begin()
    silence = desk.silence(BOT_A)
    desk.send_metric(15)
    desk.restart()
    desk.apply_mutes()
    assert desk.timeline() == ["opened", "muted"]
    desk.end(silence, "ann")
    desk.restart()
    desk.apply_mutes()
    assert (desk.timeline(), desk.deliveries()) == (["opened", "muted", "unmuted"], ["(opened)", "unmuted"])
    desk.restart()
    desk.apply_mutes()
    assert desk.timeline() == ["opened", "muted", "unmuted"]


def test_no_alert_is_checked_as_of_before_its_last_change(begin: StartEvaluator, health: Database) -> None:
    desk = begin()
    desk.silence(BOT_A)
    desk.shift = HOUR
    desk.send_metric(15)
    alert = desk.alert()
    assert alert.details.muted_by is None
    lookout = MuteSchedule(health, MuteConfig())
    assert lookout.due_changes({alert_key(alert): alert}, alert.updated_at - HOUR / 2) == []


def test_other_windows_hold_after_a_reload(begin: StartEvaluator) -> None:
    desk = begin()
    desk.send_metric(15)
    now = desk.now()
    given = documents(maintenance=[{"name": "move", "from": now - HOUR, "until": now + HOUR}])
    desk.evaluator.reload(load_rules(given), parse_mute_config(given))
    desk.evaluator.step()
    assert desk.timeline() == ["opened", "muted"]


def test_a_silence_is_noticed_within_a_second_while_no_record_comes(begin: StartEvaluator) -> None:
    desk = begin()
    desk.send_metric(15)
    desk.silence(BOT_A)
    until = clock.now() + timedelta(seconds=1)
    while desk.timeline() == ["opened"]:
        assert clock.now() < until
        desk.evaluator.step()


def test_a_stored_pattern_that_re2_refuses(
    begin: StartEvaluator, health: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """It mutes nothing, stops nothing, and is named in the log once."""
    desk = begin()
    desk.silence(Matcher("bot", "a", is_regex=True))
    with health.write() as connection:
        broken = [{"name": "bot", "value": "(?=a)a", "isRegex": True}]
        connection.execute(update(silences).values(matchers=json.dumps(broken)))
    desk.send_metric(11)
    desk.apply_mutes()
    desk.apply_mutes()
    assert desk.timeline() == ["opened"]
    assert capsys.readouterr().out.count("silence matches nothing") == 1
