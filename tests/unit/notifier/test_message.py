"""A notice in words."""

from datetime import timedelta

import msgspec
import pytest

from services.notifier.message import body, subject
from shared.schema.alerts import Change
from tests.unit.notifier.receivers import NOON, notice


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("opened", "[HIGH] demo: Maximum drawdown exceeded 20% (21.3 > 20)"),
        ("reopened", "[again HIGH] demo: Maximum drawdown exceeded 20% (21.3 > 20)"),
        ("flapping", "[flapping: HIGH] demo: Maximum drawdown exceeded 20% (21.3 > 20)"),
        ("raised", "[raised to HIGH] demo: Maximum drawdown exceeded 20% (21.3 > 20)"),
        ("resolved", "RESOLVED [HIGH] demo: Maximum drawdown exceeded 20%"),
    ],
)
def test_the_subject_says_what_about_whom_and_how_bad(change: Change, expected: str) -> None:
    assert subject(notice(change)) == expected


def test_the_subject_is_one_line_whatever_the_message_holds() -> None:
    assert subject(notice(message="two\r\nBcc: lines")).startswith("[HIGH] demo: two Bcc: lines")


def test_the_body_has_everything_that_a_person_asks_first() -> None:
    text = body(notice("resolved", resolved_at=NOON + timedelta(minutes=5), assignee="ann", comment="mine"))
    for line in (
        "Maximum drawdown exceeded 20%",
        "Severity: HIGH (performance)",
        "Bot: demo",
        "maxDrawdown: 21.3 (the rule: > 20)",
        "Since: 2026-01-31 12:00:00 UTC",
        "Resolved: 2026-01-31 12:05:00 UTC",
        "Status: RESOLVED by ann",
        "Comment: mine",
        "Look at it, acknowledge it: http://localhost:3001/alerts/a1",
    ):
        assert line in text.splitlines()


def test_a_host_is_named_where_there_is_no_bot() -> None:
    details = msgspec.structs.replace(notice().details, bot=None, host="box")
    assert "Host: box" in body(notice(details=details))


def test_a_label_cannot_add_lines_to_the_body() -> None:
    details = msgspec.structs.replace(notice().details, labels={"a": "b\nStatus: RESOLVED"})
    assert "Status: RESOLVED" not in body(notice(details=details)).splitlines()


def test_a_large_account_is_told_to_the_unit() -> None:
    details = msgspec.structs.replace(notice().details, value=1_234_567.5, threshold=1_234_568.0)
    assert subject(notice(details=details)).endswith("(1234567.5 > 1234568)")


def test_the_body_says_what_to_do_and_that_it_comes_and_goes() -> None:
    known = notice().details
    links = known.links | {"runbook": "http://localhost:3001/runbooks/drawdown"}
    details = msgspec.structs.replace(known, links=links, flaps=4)
    lines = body(notice("flapping", details=details)).splitlines()
    assert "What to do: http://localhost:3001/runbooks/drawdown" in lines
    assert "Opened again: 4 times" in lines
    assert "It comes and goes; there is no further notice until it has been fine for a while." in lines
