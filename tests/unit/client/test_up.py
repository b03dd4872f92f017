"""What the terminal of `botwatch up` shows."""

from pathlib import Path

import msgspec

from botwatch.up import alert_line
from shared import schema
from shared.schema.alerts import Alert

EXAMPLE = Path(schema.__file__).with_name("examples") / "alert.json"


def test_a_hostile_message_cannot_act_on_the_terminal() -> None:
    """Texts of checks and bots come from outside: their escapes and line breaks are shown, not obeyed."""
    alert = msgspec.json.decode(EXAMPLE.read_bytes(), type=Alert)
    alert.message = "down\n\x1b[31m\x9b2J\u202efine"
    line = alert_line("opened", alert)
    assert line.isprintable()
    assert r"down\n\x1b[31m\x9b2J\u202efine" in line
