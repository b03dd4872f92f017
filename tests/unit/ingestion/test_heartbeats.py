"""Heartbeats, the pure part: state after pings, lateness, and the text of the check."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from services.ingestion.heartbeat_check import heartbeat_check, last_line, removed_check
from services.ingestion.heartbeats import (
    MAX_RUNS,
    Action,
    ExpectedHeartbeat,
    HeartbeatState,
    Ping,
    apply_ping,
    evaluate_heartbeat,
    parse_heartbeats,
)
from shared.runtime.config.check_sections import HeartbeatSection
from shared.schema.faults import InvalidError
from shared.schema.records import Check

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
EVERY_HOUR = ExpectedHeartbeat("backup", period=HOUR, grace=5 * MINUTE)
BERLIN = ZoneInfo("Europe/Berlin")


def nightly(cron: str = "30 2 * * *", zone: ZoneInfo = BERLIN, **further: Any) -> ExpectedHeartbeat:
    return ExpectedHeartbeat("nightly", cron=cron, zone=zone, grace=10 * MINUTE, **further)


def ping(action: Action, at: datetime, run: str = "", code: int | None = None) -> Ping:
    return Ping("backup", action, at, code, run)


def after(*pings: Ping, known_since: datetime = NOON) -> HeartbeatState:
    state = HeartbeatState(known_since=known_since)
    for ping in pings:
        state = apply_ping(state, ping)
    return state


def at(
    state: HeartbeatState,
    now: datetime,
    expected: ExpectedHeartbeat = EVERY_HOUR,
    listening: datetime = NOON,
) -> Check:
    """Return what is reported when it is looked at `now` and never before."""
    return heartbeat_check(expected, evaluate_heartbeat(state, expected, listening, now), now, "1")


def every_minute(
    state: HeartbeatState, expected: ExpectedHeartbeat, start: datetime, days: int
) -> Iterator[tuple[datetime, str | None]]:
    """Look every minute; yield each moment at which the reason changes, and the new one."""
    reason: str | None = None
    for minute in range(days * 24 * 60):
        now = start + minute * MINUTE
        state = evaluate_heartbeat(state, expected, start, now)
        check = heartbeat_check(expected, state, now, "1")
        if check.reason != reason:
            reason = check.reason
            yield now, reason


def test_a_ping_is_late_only_past_period_and_grace() -> None:
    state = after(ping("success", NOON))
    limit = NOON + HOUR + 5 * MINUTE
    assert at(state, limit).status == "ok"
    late = at(state, limit + timedelta(seconds=1))
    assert (late.status, late.reason, late.late_seconds) == ("critical", "late", 301.0)
    assert late.text == (
        "5 min late: due at 2026-11-22 13:00:00 UTC (every 1h, grace 5m); last ping 2026-11-22 12:00:00 UTC"
    )


def test_a_late_heartbeat_says_how_late_until_it_arrives() -> None:
    state = evaluate_heartbeat(after(ping("success", NOON)), EVERY_HOUR, NOON, NOON + 2 * HOUR)
    later = at(state, NOON + 30 * HOUR)
    assert (later.reason, later.late_seconds) == ("late", 29 * 3600.0)
    assert later.text.startswith("1.2 d late")
    back = at(apply_ping(state, ping("success", NOON + 30 * HOUR)), NOON + 30 * HOUR)
    assert (back.status, back.reason, back.late_seconds) == ("ok", None, 0.0)
    assert back.text == "Last ping 2026-11-23 18:00:00 UTC"


def test_never_came_counts_from_the_configuration_time() -> None:
    before = at(after(), NOON + HOUR)
    assert (before.status, before.reason) == ("unknown", None)
    assert before.text == "Waiting for the first ping, due at 2026-11-22 13:00:00 UTC"
    never = at(after(), NOON + 2 * HOUR)
    assert (never.status, never.reason) == ("critical", "never_came")
    assert never.text == ("Never arrived: due 1 h ago, at 2026-11-22 13:00:00 UTC (every 1h, grace 5m)")


def test_a_run_that_never_ended_is_late_not_never_came() -> None:
    check = at(after(ping("start", NOON)), NOON + 2 * HOUR)
    assert check.reason == "late"
    assert check.text.endswith("; no run has finished; running since 2026-11-22 12:00:00 UTC")


def test_the_severity_is_the_configured_one() -> None:
    warned = ExpectedHeartbeat("backup", period=HOUR, severity="warning")
    assert at(after(), NOON + 2 * HOUR, warned).status == "warning"
    assert at(after(ping("fail", NOON)), NOON, warned).status == "warning"


def test_a_punctual_nightly_job_is_never_late_across_clock_changes() -> None:
    for start in (datetime(2026, 3, 26, tzinfo=UTC), datetime(2026, 10, 22, tzinfo=UTC)):
        expected, ran = nightly(), 0
        state = HeartbeatState(known_since=start)
        for minute in range(6 * 24 * 60):
            now = start + minute * MINUTE
            local = now.astimezone(BERLIN)
            # As cron runs it: at 03:00 where 02:30 does not exist, the first time where it is twice.
            is_left_out = local.date().isoformat() == "2026-03-29"
            wanted = (3, 0) if is_left_out else (2, 30)
            if (local.hour, local.minute) == wanted and local.fold == 0:
                state, ran = apply_ping(state, ping("success", now + 5 * timedelta(seconds=1))), ran + 1
            state = evaluate_heartbeat(state, expected, start, now)
            assert state.problem is None, (now, state)
        assert ran == 6


@pytest.mark.parametrize(
    ("day", "utc"),
    [
        ("2026-03-28", "2026-03-28 01:41"),  # CET
        ("2026-03-29", "2026-03-29 01:11"),  # 02:30 is left out: expected at 03:00 CEST
        ("2026-03-30", "2026-03-30 00:41"),  # CEST
        ("2026-10-25", "2026-10-25 00:41"),  # 02:30 is twice: expected the first time
        ("2026-10-26", "2026-10-26 01:41"),
    ],
)
def test_a_missed_nightly_job_is_detected_in_local_time(day: str, utc: str) -> None:
    yesterday = datetime.fromisoformat(f"{day}T03:05").replace(tzinfo=BERLIN) - timedelta(days=1)
    state = after(ping("success", yesterday.astimezone(UTC)), known_since=yesterday)
    ((noticed, reason),) = every_minute(state, nightly(), yesterday.astimezone(UTC), 3)
    assert (f"{noticed:%Y-%m-%d %H:%M}", reason) == (utc, "late")


def test_a_job_ending_in_a_repeated_hour_is_due_the_next_night() -> None:
    """02:30 has been, though the clocks show 02:10 again."""
    ended = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
    assert nightly().next_due(ended) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_an_hourly_job_is_expected_in_both_passes_of_an_hour() -> None:
    """The hour that comes twice has two beginnings."""
    hourly = ExpectedHeartbeat("hourly", cron="0 * * * *", zone=BERLIN)
    moments = [datetime(2026, 10, 24, 23, 0, tzinfo=UTC)]
    for _ in range(4):
        moments.append(hourly.next_due(moments[-1]))
    assert [moment.hour for moment in moments] == [23, 0, 1, 2, 3]


def test_times_are_in_the_configured_time_zone() -> None:
    state = after(ping("success", datetime(2026, 7, 1, 0, 30, 5, tzinfo=UTC)))
    text = at(state, datetime(2026, 7, 2, 0, 45, tzinfo=UTC), nightly(), NOON - timedelta(days=999)).text
    assert text == (
        "15 min late: due at 2026-07-02 02:30:00 CEST (30 2 * * *, grace 10m);"
        " last ping 2026-07-01 02:30:05 CEST"
    )


def test_a_ping_seconds_early_counts_for_the_next_due_time() -> None:
    early = datetime(2026, 7, 1, 2, 29, 57, tzinfo=UTC)
    state, expected = after(ping("success", early)), nightly(zone=ZoneInfo("UTC"))
    assert at(state, early + 24 * HOUR, expected, early).status == "ok"
    assert at(state, early + 25 * HOUR, expected, early).late_seconds == 3597.0


def test_a_failure_has_its_exit_code_and_last_line() -> None:
    state = apply_ping(after(), ping("fail", NOON, code=3), last_line(b"reading\ndisk full\n\n"))
    check = at(state, NOON)
    assert (check.status, check.reason, check.text) == (
        "critical",
        "failed",
        "Failed with exit code 3: disk full",
    )
    assert at(state, NOON + MINUTE).late_seconds == 0.0
    assert at(apply_ping(state, ping("success", NOON + MINUTE)), NOON + MINUTE).status == "ok"


def test_a_failure_without_further_runs_becomes_late() -> None:
    state = after(ping("fail", NOON))
    assert at(state, NOON).text == "Failed"
    assert at(state, NOON + 2 * HOUR).reason == "late"


def test_start_and_end_measure_the_run_time() -> None:
    state = after(ping("start", NOON))
    assert at(state, NOON).text.endswith("; running since 2026-11-22 12:00:00 UTC")
    ended = at(apply_ping(state, ping("success", NOON + 90 * MINUTE)), NOON + 90 * MINUTE)
    assert (ended.run_seconds, ended.status) == (5400.0, "ok")
    assert ended.text.endswith("13:30:00 UTC (ran for 1.5 h)")
    failed = at(apply_ping(state, ping("fail", NOON + MINUTE, code=1)), NOON + MINUTE)
    assert (failed.run_seconds, failed.text) == (60.0, "Failed after 1 min with exit code 1")


def test_an_end_without_a_start_counts_and_has_no_duration() -> None:
    check = at(after(ping("success", NOON)), NOON)
    assert (check.status, check.run_seconds) == ("ok", None)


def test_runs_are_distinguished_by_their_ids() -> None:
    state = after(
        ping("start", NOON, "a"), ping("start", NOON + MINUTE, "b"), ping("success", NOON + 3 * MINUTE, "a")
    )
    assert state.run_seconds == 180.0
    assert [*state.runs] == ["b"]
    state = apply_ping(state, ping("success", NOON + 4 * MINUTE, "c"))
    assert state.run_seconds is None
    assert [*state.runs] == ["b"]


def test_an_end_without_an_id_ends_all_runs() -> None:
    state = after(ping("start", NOON, "a"), ping("start", NOON), ping("success", NOON + MINUTE))
    assert (state.run_seconds, state.runs) == (60.0, {})


def test_runs_that_never_end_do_not_pile_up() -> None:
    state = after(*(ping("start", NOON, str(number)) for number in range(100)))
    assert [*state.runs] == [str(number) for number in range(100 - MAX_RUNS, 100)]


def test_a_run_past_its_limit_is_reported_once() -> None:
    expected = ExpectedHeartbeat("backup", period=HOUR, longest=HOUR)
    state = after(ping("success", NOON - MINUTE), ping("start", NOON))
    assert at(state, NOON + HOUR, expected).status == "ok"
    state = evaluate_heartbeat(state, expected, NOON, NOON + HOUR + MINUTE)
    check = at(state, NOON + 5 * HOUR, expected)
    assert (check.reason, check.run_seconds) == ("ran_too_long", 18_000.0)
    assert check.text == ("Still running after 5 h (limit 1h): started at 2026-11-22 12:00:00 UTC")
    ended = at(apply_ping(state, ping("success", NOON + 5 * HOUR)), NOON + 5 * HOUR, expected)
    assert (ended.status, ended.run_seconds) == ("ok", 18_000.0)


def test_a_hanging_run_is_not_reported_again_after_a_good_one() -> None:
    expected = ExpectedHeartbeat("backup", period=HOUR, longest=HOUR)
    hung = evaluate_heartbeat(after(ping("start", NOON, "a")), expected, NOON, NOON + 2 * HOUR)
    assert hung.problem
    good = apply_ping(hung, ping("success", NOON + 2 * HOUR, "b"))
    assert evaluate_heartbeat(good, expected, NOON, NOON + 2 * HOUR + MINUTE).problem is None
    # Nor does it keep silence from being told.
    assert at(good, NOON + 3 * HOUR + 2 * MINUTE, expected).reason == "late"


def test_a_run_within_its_limit_is_not_late() -> None:
    expected = nightly("0 3 * * *", ZoneInfo("UTC"), longest=2 * HOUR)
    begun = datetime(2026, 7, 2, 3, tzinfo=UTC)
    state = after(ping("success", begun - 22 * HOUR), ping("start", begun), known_since=begun)
    assert at(state, begun + 2 * HOUR, expected, begun - 22 * HOUR).status == "ok"
    assert at(state, begun + 2 * HOUR + MINUTE, expected, begun - 22 * HOUR).reason == "ran_too_long"


def test_a_job_that_only_starts_and_never_ends_is_late() -> None:
    expected = ExpectedHeartbeat("backup", period=HOUR, longest=HOUR)
    state = after(ping("success", NOON))
    reasons = []
    for minute in range(180):
        now = NOON + minute * MINUTE
        state = evaluate_heartbeat(apply_ping(state, ping("start", now)), expected, NOON, now)
        reasons.append(state.problem and state.problem.reason)
    assert reasons.index("late") == 122
    text = at(state, NOON + 180 * MINUTE, expected).text
    assert "; running since 2026-11-22 14:59:00 UTC" in text


def test_a_log_changes_nothing() -> None:
    for state in (after(), after(ping("fail", NOON)), after(ping("start", NOON))):
        assert apply_ping(state, ping("log", NOON + MINUTE)) == state


def test_after_botwatch_was_down_the_grace_counts_from_its_start() -> None:
    state = after(ping("success", NOON))
    started = NOON + 10 * HOUR
    assert at(state, started + 5 * MINUTE, listening=started).status == "ok"
    late = at(state, started + 6 * MINUTE, listening=started)
    assert late.reason == "late"
    assert late.text.endswith("; Botwatch has been receiving pings since 2026-11-22 22:00:00 UTC")


def test_after_downtime_a_run_past_its_limit_has_the_grace() -> None:
    expected = ExpectedHeartbeat("backup", period=24 * HOUR, longest=HOUR, grace=5 * MINUTE)
    state, started = after(ping("start", NOON)), NOON + 3 * HOUR
    assert at(state, started + 5 * MINUTE, expected, started).reason is None
    assert at(state, started + 6 * MINUTE, expected, started).reason == "ran_too_long"


def test_a_restart_does_not_clear_a_late_heartbeat() -> None:
    late = evaluate_heartbeat(after(ping("success", NOON)), EVERY_HOUR, NOON, NOON + 2 * HOUR)
    assert at(late, NOON + 3 * HOUR, listening=NOON + 3 * HOUR).reason == "late"


def test_a_longer_period_clears_a_late_heartbeat() -> None:
    late = evaluate_heartbeat(after(ping("success", NOON)), EVERY_HOUR, NOON, NOON + 2 * HOUR)
    assert at(late, NOON + 3 * HOUR, ExpectedHeartbeat("backup", period=24 * HOUR)).status == "ok"


def test_a_state_survives_a_round_trip_through_redis() -> None:
    state = evaluate_heartbeat(
        after(ping("success", NOON), ping("start", NOON, "a")),
        ExpectedHeartbeat("backup", period=HOUR, longest=MINUTE),
        NOON,
        NOON + HOUR,
    )
    assert state.problem
    assert msgspec.json.decode(msgspec.json.encode(state), type=HeartbeatState) == state


def test_every_record_can_be_read_again() -> None:
    for check in (at(after(), NOON), at(after(), NOON + 9 * HOUR), removed_check("backup", NOON, "1")):
        assert msgspec.json.decode(msgspec.json.encode(check), type=Check) == check


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"", ""),
        (b"one\ntwo", "two"),
        (b"one\r\ntwo\r\n \r\n", "two"),
        (b"\x1b[31mred\x00", "[31mred"),
        (b"caf\xc3\xa9 \xff", "café \ufffd"),
        (b"x" * 500, "x" * 200),
    ],
)
def test_the_last_line_has_printable_characters_only(body: bytes, line: str) -> None:
    assert last_line(body).strip() == line


def sections(**found: dict[str, Any]) -> dict[str, HeartbeatSection]:
    return msgspec.convert(found, dict[str, HeartbeatSection])


def test_a_heartbeat_without_a_name_uses_its_key_prefix() -> None:
    found = parse_heartbeats(sections(abcdefghijkl={"period": "5m"}))
    assert found == {"abcdefghijkl": ExpectedHeartbeat("abcdefgh", period=5 * MINUTE)}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"cron": "61 * * * *"}, "Bad minute"),
        ({"cron": "0 3 * *"}, "Wrong number of fields"),
        ({"cron": "* * */20 * 1L", "name": "x"}, ""),
        ({"period": "1h", "name": "two\nlines"}, "`name`: expected printable characters"),
        ({"period": "1h", "name": "taken"}, "expected different names, got 'taken' twice"),
    ],
)
def test_an_invalid_section_is_rejected_without_showing_the_key(
    section: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        parse_heartbeats(sections(first_one={"period": "1h", "name": "taken"}, a_secret_key=section))
    (fault,) = caught.value.faults
    assert fault.path == "health_monitor.json: $.monitoring.heartbeats[1]"
    assert message in fault.message
    assert "a_secret_key" not in str(fault)
