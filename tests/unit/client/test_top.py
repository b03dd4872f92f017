"""`botwatch top` without a terminal: what its keys do, and its screen at several sizes."""

from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from botwatch.cli.commands.top import take
from botwatch.cli.top.keys import parse_keys
from botwatch.cli.top.model import SORTS, Acknowledge, Action, Model, Open, Quit, Snapshot
from botwatch.cli.top.poller import Acknowledged, Detail, Failure, Refused
from botwatch.cli.top.screen import draw, share
from tests.unit.client.conftest import ANSWERS

API = "/api/monitoring"
NOW = datetime(2026, 11, 29, 6, 30, tzinfo=UTC)
[ALERT] = (one["alert"] for one in ANSWERS[f"POST {API}/alerts/acknowledge"])


def bot(name: str, **fields: object) -> dict[str, Any]:
    first: dict[str, Any] = ANSWERS[f"GET {API}/bots"][0]
    return first | {"bot": name} | fields


def alert(alert_id: str, **fields: object) -> dict[str, Any]:
    active: dict[str, Any] = ALERT | {"id": alert_id, "status": "ACTIVE", "assignee": None}
    return active | fields


def model(bots: int = 3, **fields: object) -> Model:
    """Return a model of some bots and three alerts."""
    snapshot = Snapshot(
        summary=ANSWERS[f"GET {API}/summary"],
        bots=[bot(f"bot-{number}", currentDrawdown=float(number)) for number in range(bots)],
        alerts=[
            alert("low", severity="LOW", component="bot-1", message="Low"),
            alert(
                "handled", severity="CRITICAL", status="ACKNOWLEDGED", component="bot-2", message="Handled"
            ),
            alert("worst", severity="CRITICAL", component="bot-0", message="Worst"),
        ],
        hosts=ANSWERS[f"GET {API}/health"],
        checks=ANSWERS[f"GET {API}/checks"],
        events=[{"timestamp": "2026-11-29T06:00:00Z", "severity": "", "text": "bot-1: deployed"}],
    )
    return Model(snapshot, "ann", **fields)  # type: ignore[arg-type]


def press(found: Model, *keys: str) -> Action | None:
    """Press keys and return what the last one asks for."""
    action = None
    for key in keys:
        action = found.press(key)
    return action


def lines(found: Model, width: int, height: int) -> list[str]:
    return [line.rstrip() for line in draw(found, width, height, NOW).plain.splitlines()]


def test_keys_of_a_terminal() -> None:
    """Sequences of special keys have names; unknown ones are no letters."""
    assert parse_keys("j\x1b[A\x1bOB\r\x1b[6~é\x1b[1;5C") == ["j", "up", "down", "enter", "page down", "é"]
    assert parse_keys("\x1b") == ["escape"]
    assert parse_keys("\x00\x01") == []


def test_alerts_are_by_urgency() -> None:
    """The most severe first; acknowledged ones after all others."""
    assert model().keys("alerts") == ["worst", "low", "handled"]


def test_moving_and_details() -> None:
    """J and k stop at the ends; what is selected stays so when rows move; enter opens it, escape closes."""
    found = model()
    press(found, "j", "down", "j", "j", "k")
    assert found.selected["alerts"] == "low"
    found.snapshot = found.snapshot._replace(
        alerts=[*found.snapshot.alerts, alert("new", severity="CRITICAL")]
    )
    assert found.keys("alerts")[found.position("alerts")] == "low"
    assert press(found, "enter") == Open("alerts", "low")
    assert lines(found, 80, 24)[3] == "Loading…"
    take(found, Detail(Open("bots", "other"), {}))  # of what was open before
    take(found, Detail(Open("alerts", "low"), ANSWERS[f"GET {API}/alerts/{ALERT['id']}"]))
    assert "Timeline" in lines(found, 80, 24)
    press(found, "j")
    assert found.scrolled == 1
    assert press(found, "q") is None
    assert found.opened is None
    assert press(found, "q") == Quit()


def test_details_of_a_bot() -> None:
    """Its metrics have their units."""
    found = model()
    assert press(found, "tab", "enter") == Open("bots", "bot-0")
    take(found, Detail(Open("bots", "bot-0"), ANSWERS[f"GET {API}/bots/demo-eurusd"]))
    assert any(line.startswith("  Drawdown max") and line.endswith("%") for line in lines(found, 80, 60))


def test_sorting() -> None:
    """S goes through the columns and back; the worst is first, and its column is marked."""
    found = model()
    assert found.keys("bots") == ["bot-0", "bot-1", "bot-2"]
    press(found, "s", "s", "s")
    assert SORTS[found.sort].title == "drawdown"
    assert found.keys("bots") == ["bot-2", "bot-1", "bot-0"]
    assert any("↓DRAWDOWN" in line for line in lines(found, 80, 24))
    press(found, *["s"] * (len(SORTS) - 3))
    assert found.sort == 0


def test_filtering() -> None:
    """Words must be in a bot's name or label, or in an alert; escape clears them."""
    found = model()
    press(found, "/", *"bot-1x", "backspace")
    assert (found.keys("bots"), found.keys("alerts")) == (["bot-1"], ["low"])
    assert lines(found, 80, 24)[-1] == "Filter: bot-1█"
    press(found, "enter")
    assert "ALERTS 1/3" in "\n".join(lines(found, 80, 24))
    press(found, "escape")
    assert len(found.keys("bots")) == 3


def test_acknowledging() -> None:
    """A asks for the name, with the user's as a proposal, and a comment; escape leaves it."""
    found = model()
    assert press(found, "a", "escape") is None
    assert press(found, "a", "enter", *"on it", "enter") == Acknowledge("worst", "ann", "on it")
    press(found, "j")
    assert press(found, "a", *["backspace"] * 3, *"bob", "enter", "enter") == Acknowledge("low", "bob", "")
    take(found, Acknowledged(alert("low", assignee="bob", message="Low")))
    assert lines(found, 80, 24)[-1] == "Acknowledged by bob: Low"
    press(found, "a", *["backspace"] * 3, "enter")
    assert lines(found, 80, 24)[-1] == "Not acknowledged: a name is needed."
    press(found, "tab", "a")
    assert lines(found, 80, 24)[-1] == "Select an alert first: tab goes to them."


def test_what_is_refused() -> None:
    """The reason is at the bottom; details that cannot be fetched are closed."""
    found = model()
    take(found, Refused(Acknowledge("worst", "ann", ""), "the alert is resolved"))
    assert lines(found, 80, 24)[-1] == "the alert is resolved"
    press(found, "enter")
    take(found, Refused(Open("alerts", "worst"), "no such alert"))
    assert found.opened is None


def test_help() -> None:
    """? lists the keys; any key closes it."""
    found = model()
    press(found, "?")
    assert any("acknowledge the selected alert" in line for line in lines(found, 80, 24))
    press(found, "q")
    assert not found.is_help


def test_an_answer_that_is_missing() -> None:
    """The old data stay, with the reason and since when; the next answer clears it."""
    found = model()
    take(found, Failure("http://x is not responding"))
    head, reason, *_ = lines(found, 80, 24)
    assert "not live since" in head
    assert reason == "http://x is not responding"
    assert any("bot-1" in line for line in lines(found, 80, 24))
    take(found, found.snapshot)
    assert "not live" not in lines(found, 80, 24)[0]


@pytest.mark.parametrize("size", [*product((40, 80, 120, 160, 300), (10, 24, 50))], ids=str)
@pytest.mark.parametrize("bots", [0, 1, 500])
def test_the_screen_fits(size: tuple[int, int], bots: int) -> None:
    """Every size has exactly its lines, none too long, with every table that has room for a row."""
    found = model(bots)
    shown = draw(found, *size, NOW)
    assert len(shown.plain.split("\n")) == size[1]
    assert all(line.cell_len == size[0] for line in shown.split("\n"))
    assert "ALERTS 3" in shown.plain
    if size[1] >= 24:
        assert all(title in shown.plain for title in ("BOTS", "HOSTS, CHECKS", "RECENT"))


def test_a_small_terminal_and_names_from_outside() -> None:
    """Too small a terminal says so; control characters are escaped."""
    assert lines(model(), 30, 8)[0].startswith("30x8 is too small")
    found = model()
    found.snapshot = found.snapshot._replace(bots=[bot("evil\x1b[2J")])
    assert any("evil\\x1b[2J" in line for line in lines(found, 80, 24))


def test_the_selected_row_is_in_view() -> None:
    """Of more rows than fit, those around the selected one are shown."""
    found = model(500)
    press(found, "tab", "end")
    assert any(line.startswith("bot-99 ") for line in lines(found, 80, 24))  # the last by name
    press(found, "home")
    assert any(line.startswith("bot-0 ") for line in lines(found, 80, 24))


def test_shares_of_lines() -> None:
    """Each table has what it wants, or as much as the others; the first have what is left over."""
    assert share([2, 10, 10], 11) == [2, 5, 4]
    assert share([2, 3], 100) == [2, 3]
    assert share([5, 5], 0) == [0, 0]
