"""A notice in words: subjects and texts, numbers with their units, durations."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from services.notifier.content import phrasing
from services.notifier.content.message import NotificationMessage
from services.notifier.content.phrasing import escape_markdown, neutralize
from services.notifier.content.rendering import NotificationContent
from services.notifier.content.templates import Templates
from shared.schema.alerts import Change, Details, Notice
from tests.unit.notifier.fake_receivers import NOON, make_notice

ACKNOWLEDGE = "https://botwatch.example/acknowledge/abc"
CONTENT = NotificationContent(Templates(), lambda _notice, _now: [], lambda _notice: ACKNOWLEDGE)


def message(*notices: Notice, after: float = 0, **further: Any) -> NotificationMessage:
    """Return a message that is sent so many minutes after noon, when the alerts of the tests opened."""
    return NotificationMessage(notices, "key", NOON + timedelta(minutes=after), **further)


def with_details(**changes: Any) -> Details:
    return msgspec.structs.replace(make_notice().details, **{"measure": "", "unit": "", **changes})


def subject(*notices: Notice, after: float = 0, **further: Any) -> str:
    return CONTENT.subject(message(*notices, after=after, **further))


def lines(*notices: Notice, after: float = 0, **further: Any) -> list[str]:
    return CONTENT.text(message(*notices, after=after, **further)).splitlines()


def about(bot: str, rule: str = "slippage", **changes: Any) -> Notice:
    """Return a notice on an alert of its own."""
    details = with_details(bot=bot, rule=rule)
    return make_notice(alert=f"{rule}-{bot}", component=bot, details=details, **changes)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("opened", "[HIGH] {}"),
        ("reopened", "[HIGH, reopened] {}"),
        ("flapping", "[HIGH, flapping] {}"),
        ("raised", "[HIGH, raised] {}"),
        ("unacknowledged", "[HIGH, acknowledgement expired] {}"),
        ("unmuted", "[HIGH, unmuted] {}"),
        ("escalated", "[HIGH, escalated] {}"),
        ("repeated", "Still open (2h): [HIGH] {}"),
    ],
)
def test_the_subject_says_what_about_whom_how_bad_and_why_now(change: Change, expected: str) -> None:
    what = "demo: Maximum drawdown exceeded 20% (21.3% > 20%)"
    assert subject(make_notice(change), after=120) == expected.format(what)


def test_the_subject_of_the_end_says_how_long_it_took() -> None:
    ended = make_notice("resolved", resolved_at=NOON + timedelta(minutes=12))
    assert subject(ended, after=90) == "[RESOLVED, HIGH] demo: Maximum drawdown exceeded 20% (open for 12m)"


def test_the_subject_does_not_say_numbers_twice() -> None:
    told = "Drawdown is 21.3 %, limit 20 %"
    assert subject(make_notice(message=told)) == f"[HIGH] demo: {told}"
    assert subject(make_notice(message=told, details=with_details(value=30))).endswith("(30.0% > 20%)")


def test_the_subject_has_the_severity_that_an_escalation_raised_it_to() -> None:
    raised = make_notice("escalated", details=with_details(raised_to="CRITICAL"))
    assert subject(raised).startswith("[CRITICAL, escalated] demo: ")
    assert "Escalated to CRITICAL: not acknowledged in time." in lines(raised)


def test_the_rule_s_own_severity_is_not_the_escalation_s() -> None:
    worse = make_notice("escalated", severity="CRITICAL", details=with_details(raised_to="HIGH"))
    assert subject(worse).startswith("[CRITICAL, escalated] demo: ")
    assert not any(line.startswith("Escalated to") for line in lines(worse))


def test_a_test_is_called_one_and_leads_nowhere() -> None:
    assert subject(make_notice(), is_test=True).startswith("TEST: [HIGH] demo: ")
    text = lines(make_notice(), is_test=True)
    assert text[0] == "This is a test message. No action needed."
    assert CONTENT.view(message(make_notice(), is_test=True)).alerts[0].acknowledge == ""
    assert not any(line.startswith("Acknowledge") for line in text)


def test_several_alerts_of_a_rule_are_counted_by_severity_gravest_first() -> None:
    told = [about("a", severity="MEDIUM"), about("b"), about("c")]
    assert subject(*told) == "3 alerts on slippage: 2 HIGH, 1 MEDIUM (bots b, c, a)"


def test_several_alerts_of_a_bot_name_it_once() -> None:
    assert subject(about("a", "one"), about("a", "two")) == "2 alerts: 2 HIGH (bot a)"


def test_alerts_that_ended_are_counted_last() -> None:
    ended = about("b", status="RESOLVED", resolved_at=NOON, severity="CRITICAL")
    assert subject(ended, about("a")) == "2 alerts on slippage: 1 HIGH, 1 resolved (bots a, b)"
    assert subject(ended, about("c", status="RESOLVED")) == "RESOLVED: 2 alerts on slippage (bots b, c)"


def test_bots_and_hosts_are_not_called_the_same() -> None:
    host = make_notice(alert="h", component="box", details=Details(
        rule="cpu", host="box", metric="cpuUsage", value=99, operator=">", threshold=90,
    ))  # fmt: skip
    assert subject(host, about("a")) == "2 alerts: 2 HIGH (box, a)"
    assert subject(host, msgspec.structs.replace(host, id="i")) == "2 alerts on cpu: 2 HIGH (host box)"


def test_many_names_are_cut_short() -> None:
    told = [about(f"bot-{n}") for n in range(8)]
    assert subject(*told).endswith("(bots bot-0, bot-1, bot-2, bot-3, bot-4 and 3 more)")


def test_several_notices_of_one_alert_are_one_alert_as_it_is_now() -> None:
    raised = make_notice("raised", severity="CRITICAL")
    assert subject(make_notice(), raised).startswith("[CRITICAL, raised] demo: ")
    assert CONTENT.view(message(make_notice(), raised)).alerts[0].acknowledge == ACKNOWLEDGE


def test_at_most_twenty_alerts_are_listed_each_with_its_link() -> None:
    told = [about(f"bot-{n}", severity="CRITICAL" if n == 50 else "LOW") for n in range(51)]
    text = lines(*told)
    entries = [line for line in text if line.startswith("- ")]
    assert len(entries) == text.count("  http://localhost:3001/alerts/a1") == 20
    assert entries[0].startswith("- [CRITICAL] bot-50: ")
    assert entries[1].startswith("- [LOW] bot-0: ")
    assert text[-1] == "and 31 more"


def test_the_text_has_everything_that_a_person_asks_first() -> None:
    details = with_details(labels={"venue": "binance", "source": "computed"}, flaps=4)
    details.links = details.links | {"runbook": "http://localhost:3001/runbooks/drawdown"}
    text = lines(
        make_notice("flapping", status="ACKNOWLEDGED", assignee="ann", comment="mine", details=details),
        after=125,
    )
    assert text == [
        "Maximum drawdown exceeded 20%",
        "",
        "Bot: demo",
        "Drawdown max: 21.3% (limit: > 20%)",
        "Severity: HIGH (performance)",
        "Since: 2026-01-31 12:00:00 UTC, for 2h 5m",
        "Status: ACKNOWLEDGED, acknowledged by ann",
        "Comment: mine",
        "Labels: venue=binance, source=computed",
        "Reopened: 4 times",
        "Flapping: further notifications are paused until it is stable.",
        "",
        f"Acknowledge: {ACKNOWLEDGE}",
        "Runbook: http://localhost:3001/runbooks/drawdown",
        "View alert: http://localhost:3001/alerts/a1",
        "",
        "Alert a1",
    ]


def test_the_text_of_the_end_says_when_and_asks_nothing() -> None:
    ended = make_notice("resolved", resolved_at=NOON + timedelta(minutes=5), assignee="ann")
    text = lines(ended, after=60)
    assert "Since: 2026-01-31 12:00:00 UTC" in text
    assert "Resolved: 2026-01-31 12:05:00 UTC, after 5m" in text
    assert "Status: RESOLVED, acknowledged by ann" in text
    assert not any(line.startswith("Acknowledge") for line in text)
    assert CONTENT.view(message(ended)).alerts[0].acknowledge == ""


def test_each_of_several_alerts_has_a_link_of_its_own() -> None:
    alerts = CONTENT.view(message(about("a"), about("b"))).alerts
    assert [one.acknowledge for one in alerts] == [ACKNOWLEDGE] * 2


def test_a_host_is_named_where_there_is_no_bot() -> None:
    assert "Host: box" in lines(make_notice(details=with_details(bot=None, host="box")))


@pytest.mark.parametrize(
    ("minutes", "said"), [(0.9, None), (1, "1 minute"), (7.5, "7 minutes"), (130, "2 hours")]
)
def test_a_late_notice_says_by_how_much(minutes: float, said: str | None) -> None:
    text = lines(make_notice(), late=timedelta(minutes=minutes))
    assert (text[0] == f"Delivered {said} late.") == (said is not None)


def test_a_link_of_another_kind_is_none() -> None:
    details = with_details(links={"alert": "javascript:alert(1)", "runbook": "data:text/html,x"})
    assert not any("javascript" in line or "data:" in line for line in lines(make_notice(details=details)))


HOSTILE = [
    "two\r\nBcc: lines",
    "line\u2028separator\u0085next\x1b[31mred\x00",
    "turned \u202eround\u202c",
    "🚨🔥 " * 50,
    "تنبيه: خسارة كبيرة",
    "{{ message.headline }}{% raw %}",
    "x" * 10_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_in_a_record_can_add_a_line_or_turn_it(text: str) -> None:
    plain = lines(make_notice(comment="one", details=with_details(labels={"venue": "one"})))
    details = with_details(labels={"venue": text}, rule=text, metric=text)
    told = make_notice(message=text, component=text, comment=text, assignee=text, details=details)
    hostile = CONTENT.text(message(told))
    assert len(hostile.splitlines()) == len(plain)
    for written in (hostile.replace("\n", ""), subject(told)):
        assert not set(written) & set("\r\n\x00\x1b\u2028\u0085\u202e\u202c")
    assert len(subject(told)) <= 400
    assert len(hostile) < 6_000


def test_emoji_and_other_scripts_arrive_as_they_are() -> None:
    assert "🚨 تنبيه: 👩‍💻" in subject(make_notice(message="🚨 تنبيه: 👩‍💻"))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-5, "0s"), (0.4, "0s"), (59, "59s"), (60, "1m"), (3_599, "59m"), (3_600, "1h"), (7_500, "2h 5m"),
     (86_400, "1d"), (97_200, "1d 3h")],
)  # fmt: skip
def test_a_duration_is_as_exact_as_anybody_asks(seconds: float, expected: str) -> None:
    assert phrasing.format_duration(timedelta(seconds=seconds)) == expected


def test_a_check_is_told_in_its_own_words_without_the_number_of_its_status() -> None:
    details = with_details(bot=None, host="box", metric="checkState", operator=">=", value=2, threshold=2)
    told = make_notice(message="binance: nothing listens there", component="box", details=details)
    assert subject(told) == "[HIGH] box: binance: nothing listens there"
    assert not any("checkState" in line for line in lines(told))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@channel (@here)", "@|channel (@|here)"),
        ("ann@example.org: x <= 3 @ noon", "ann@example.org: x <= 3 @ noon"),
        ("5 < 7", "5 < 7"),
        ("[a](http://b.example)", "[a]|(http://b.example)"),
        ('<at user_id="all"></at><!here>', '<|at user_id="all"><|/at><|!here>'),
        ("https://b.example/@ann/x?y=<z>", "https://b.example/%40ann/x?y=<|z>"),
    ],
)
def test_mentions_tags_and_hidden_links_lose_their_meaning(text: str, expected: str) -> None:
    """A zero-width space, here `|`, is put where a chat would begin to read markup."""
    assert neutralize(text) == expected.replace("|", "\u200b")


def test_markdown_is_escaped_around_addresses() -> None:
    """Addresses stay links: an underscore in them is no markup."""
    text = r"my_bot *x* [y] #1 \ http://a.example/b_c_d see `z`"
    expected = r"my\_bot \*x\* \[y\] \#1 \\ http://a.example/b_c_d see \`z\`"
    assert escape_markdown(text) == expected
