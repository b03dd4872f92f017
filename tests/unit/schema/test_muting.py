"""Muting, without a clock or a database."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.runtime.config.documents import Documents, HealthMonitor, PerformanceLogger, load_document
from shared.runtime.config.mute_config import parse_mute_config
from shared.runtime.config.notifications import Notifications
from shared.schema.alerts import Alert, Details, Severity
from shared.schema.faults import InvalidError
from shared.schema.muting import MuteConfig, MuteEvaluator, WindowSpan, merge_spans
from shared.schema.silences import Matcher, Silence

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def an_alert(
    rule: str = "drawdown", bot: str | None = "a", severity: Severity = "HIGH", **labels: str
) -> Alert:
    name = bot or labels.pop("on")
    details = Details(
        rule=rule, bot=bot, host=None if bot else name, metric="maxDrawdown", value=21, operator=">",
        threshold=20, labels=labels,
    )  # fmt: skip
    return Alert(
        id=f"{rule} {name}", timestamp=NOON, severity=severity, category="PERFORMANCE", component=name,
        message="m", status="ACTIVE", details=details, fingerprint="f", updated_at=NOON,
    )  # fmt: skip


def a_silence(*matchers: Matcher, hours: float = 1) -> Silence:
    return Silence(
        id="s", matchers=list(matchers), starts_at=NOON, ends_at=NOON + hours * HOUR, created_by="ann",
        comment="new strategy", created_at=NOON, updated_at=NOON,
    )  # fmt: skip


def policy(**sections: Any) -> MuteConfig:
    notifications = msgspec.convert(sections, Notifications)
    return parse_mute_config(Documents(PerformanceLogger(), HealthMonitor(), notifications))


def words(muting: MuteEvaluator, alert: Alert, at: datetime = NOON) -> str | None:
    mute = muting.reason_for(alert, at)
    return mute.text if mute else None


def test_an_active_silence_mutes_alerts_matching_all_matchers() -> None:
    alert = an_alert()
    muting = MuteEvaluator(
        MuteConfig(), [a_silence(Matcher("bot", "a"), Matcher("severity", "HIGH"))], [alert]
    )
    assert words(muting, alert) == "silenced by ann until 2026-01-31 13:00:00 UTC: new strategy"
    assert words(muting, alert, NOON - timedelta(milliseconds=1)) is None
    assert words(muting, alert, NOON + HOUR) is None
    assert words(muting, an_alert(bot="b")) is None
    assert words(muting, an_alert(severity="LOW")) is None


def test_a_one_off_window_mutes_matching_alerts_until_just_before_its_end() -> None:
    window = {
        "name": "move", "match": {"bot": "scalper-*"},
        "from": "2026-01-31T13:00:00+01:00", "until": "2026-01-31T14:00:00+01:00",
    }  # fmt: skip
    muting = MuteEvaluator(policy(maintenance=[window]), [], [])
    alert = an_alert(bot="scalper-1")
    assert words(muting, alert) == "muted by the maintenance window move until 2026-01-31 13:00:00 UTC"
    assert words(muting, alert, NOON + HOUR) is None
    assert words(muting, an_alert(bot="maker-1")) is None


def in_window(cron: str, duration: str, *moments: str) -> list[bool]:
    window = {"name": "w", "cron": cron, "duration": duration, "timeZone": "Europe/Berlin"}
    muting = MuteEvaluator(policy(maintenance=[window]), [], [])
    return [words(muting, an_alert(), datetime.fromisoformat(moment)) is not None for moment in moments]


def test_a_cron_window_follows_the_clocks_of_its_zone() -> None:
    saturday = [
        "2026-01-31T00:59:59+00:00",
        "2026-01-31T01:00:00+00:00",
        "2026-01-31T02:59:59+00:00",
        "2026-01-31T03:00:00+00:00",
    ]
    assert in_window("0 2 * * 6", "2h", *saturday) == [False, True, True, False]
    summer = ["2026-08-01T00:00:00+00:00", "2026-08-01T02:00:00+00:00", "2026-08-02T00:30:00+00:00"]
    assert in_window("0 2 * * 6", "2h", *summer) == [True, False, False]


def test_a_window_in_the_hour_skipped_in_spring_begins_after_it() -> None:
    night = ["2026-03-29T00:59:59+00:00", "2026-03-29T01:00:00+00:00", "2026-03-29T02:00:00+00:00"]
    assert in_window("30 2 * * *", "1h", *night) == [False, True, False]


def test_a_window_across_a_clock_change_keeps_its_duration() -> None:
    spring = ["2026-03-29T00:30:00+00:00", "2026-03-29T02:29:59+00:00", "2026-03-29T02:30:00+00:00"]
    assert in_window("30 1 * * *", "2h", *spring) == [True, True, False]
    autumn = ["2026-10-24T23:30:00+00:00", "2026-10-25T01:29:59+00:00", "2026-10-25T01:30:00+00:00"]
    assert in_window("30 1 * * *", "2h", *autumn) == [True, True, False]


def test_an_hourly_window_is_active_in_both_passes_of_an_hour() -> None:
    """02:00 to 03:00 comes twice in Berlin on that day, and each pass has its first half muted."""
    halves = [f"2026-10-25T{hour:02}:{minute}:00+00:00" for hour in range(4) for minute in ("10", "40")]
    assert in_window("0 * * * *", "30m", *halves) == [True, False] * 4


def test_a_window_begun_in_the_first_pass_continues_in_the_second() -> None:
    """It lasts as long as ever, though the clocks show a time before its begin again."""
    night = ["2026-10-25T00:30:00+00:00", "2026-10-25T01:10:00+00:00", "2026-10-25T01:40:00+00:00"]
    assert in_window("30 2 * * *", "1h", *night) == [True, True, False]


def test_a_window_in_the_repeated_hour_begins_once() -> None:
    night = ["2026-10-25T00:29:59+00:00", "2026-10-25T00:30:00+00:00", "2026-10-25T00:50:00+00:00"]
    again = ["2026-10-25T01:30:00+00:00", "2026-10-25T01:40:00+00:00"]
    assert in_window("30 2 * * *", "20m", *night, *again) == [False, True, False, False, False]


def test_an_inhibition_mutes_alerts_with_equal_labels() -> None:
    rules = policy(
        inhibit=[{"source": {"alertname": "host-down"}, "target": {"bot": "*?"}, "equal": ["host"]}]
    )
    down = an_alert("host-down", bot=None, on="web-1")
    here, elsewhere = an_alert(bot="a", host="web-1"), an_alert(bot="b", host="web-2")
    muting = MuteEvaluator(rules, [], [down, here, elsewhere])
    assert words(muting, here) == "inhibited by host-down on web-1"
    assert words(muting, elsewhere) is None
    assert words(muting, down) is None


def test_an_alert_that_ended_mutes_no_longer() -> None:
    rules = policy(inhibit=[{"source": {"alertname": "exchange"}, "target": {"alertname": "drawdown"}}])
    source, target = an_alert("exchange"), an_alert()
    muting = MuteEvaluator(rules, [], [source, target])
    assert words(muting, target)
    muting.update(msgspec.structs.replace(source, status="RESOLVED"))
    assert words(muting, target) is None


def test_source_alerts_mute_neither_each_other_nor_themselves() -> None:
    rules = policy(inhibit=[{"source": {"severity": "CRITICAL"}, "target": {"alertname": "*"}}])
    one, two = an_alert(bot="a", severity="CRITICAL"), an_alert(bot="b", severity="CRITICAL")
    mild = an_alert(bot="c", severity="LOW")
    muting = MuteEvaluator(rules, [], [one, two, mild])
    assert [words(muting, alert) is not None for alert in (one, two, mild)] == [False, False, True]


def test_an_alert_of_raised_severity_becomes_a_source() -> None:
    rules = policy(inhibit=[{"source": {"severity": "CRITICAL"}, "target": {"severity": "LOW"}}])
    one, mild = an_alert(bot="a"), an_alert(bot="b", severity="LOW")
    muting = MuteEvaluator(rules, [], [one, mild])
    assert words(muting, mild) is None
    muting.update(msgspec.structs.replace(one, severity="CRITICAL"))
    assert words(muting, mild)


def test_the_next_change_is_the_next_beginning_or_end() -> None:
    window = {"name": "w", "cron": "0 13 * * *", "duration": "30m"}
    muting = MuteEvaluator(policy(maintenance=[window]), [a_silence(Matcher("bot", "a"), hours=1.25)], [])
    found = [NOON]
    for _ in range(4):
        moment = muting.next_change(found[-1])
        assert moment
        found.append(moment)
    assert [(moment - NOON) / HOUR for moment in found] == [0, 1, 1.25, 1.5, 25]
    assert MuteEvaluator(MuteConfig(), [], []).next_change(NOON) is None


@pytest.mark.parametrize("cron", ["30 2 * * *", "0 * * * *", "30 1 * * *", "15 2 25 * *"])
def test_the_spans_of_a_window_are_those_in_which_it_is_active(cron: str) -> None:
    """Through the night in which clocks are set back, minute by minute."""
    window = {"name": "w", "cron": cron, "duration": "50m", "timeZone": "Europe/Berlin"}
    config = policy(maintenance=[window])
    muting, begin = MuteEvaluator(config, [], []), datetime(2026, 10, 24, 22, tzinfo=UTC)
    spans = list(merge_spans(config.windows[0].when.spans_between(begin, begin + 6 * HOUR)))
    for minute in range(360):
        at = begin + timedelta(minutes=minute)
        is_active = words(muting, an_alert(), at) is not None
        assert is_active == any(start <= at < end for start, end in spans), at


def test_spans_that_touch_or_overlap_are_merged() -> None:
    spans = [
        WindowSpan(NOON + first * HOUR, NOON + last * HOUR)
        for first, last in ((0, 1), (1, 4), (2, 3), (5, 6))
    ]
    merged = [((start - NOON) / HOUR, (end - NOON) / HOUR) for start, end in merge_spans(spans)]
    assert merged == [(0, 4), (5, 6)]
    assert list(merge_spans([])) == []


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{name: w, cron: '0 2 * * 6'}", "either `from` and `until`, or `cron` and `duration`"),
        ("{name: w, cron: '0 2 * * 6', duration: 0}", "expected more than 0"),
        (
            "{name: w, cron: '0 2 * * 6', duration: 2h, timeZone: Europe/Berln}",
            "did you mean `Europe/Berlin`",
        ),
        ("{name: w, from: 2026-01-31T12:00:00Z, until: 2026-01-31T11:00:00Z}", "a time after `from`"),
        ("{name: w, from: 2026-01-31T12:00:00, until: 2026-02-01T12:00:00Z}", "with a time zone"),
        ("{name: w, crn: '0 2 * * 6', duration: 2h}", "did you mean `cron`"),
    ],
)
def test_a_wrong_window_is_refused_with_its_place(tmp_path: Path, section: str, said: str) -> None:
    path = tmp_path / "notifications.yml"
    path.write_text(f"maintenance: [{section}]")
    with pytest.raises(InvalidError) as refused:
        load_document(path, Notifications, {})
    (fault,) = refused.value.faults
    assert fault.path.startswith(f"{path}: $.maintenance[0]")
    assert said in fault.message


def test_a_window_may_have_plain_dates_and_a_match(tmp_path: Path) -> None:
    path = tmp_path / "notifications.yml"
    window = "{name: w, match: {bot: x*}, from: 2026-01-31T12:00:00Z, until: 2026-01-31T13:00:00Z}"
    path.write_text(f"maintenance: [{window}]")
    (found,) = load_document(path, Notifications, {}).maintenance
    assert (found.from_, found.until, found.match) == (NOON, NOON + HOUR, {"bot": "x*"})


@pytest.mark.parametrize("cron", ["61 * * * *", "0 2 * *", "tomorrow", "0 0 31 2 *"])
def test_an_invalid_cron_expression_is_rejected_with_its_path(cron: str) -> None:
    with pytest.raises(InvalidError) as refused:
        policy(maintenance=[{"name": "w", "cron": cron, "duration": "1h"}])
    assert [fault.path for fault in refused.value.faults] == ["notifications.yml: $.maintenance[0].cron"]
