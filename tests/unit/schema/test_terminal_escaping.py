"""Text from outside cannot act on a terminal."""

import pytest

from shared.schema.terminal_escaping import escape_controls


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Drawdown 10.1% größer 利", "Drawdown 10.1% größer 利"),
        ("\n\x1b[31mred", r"\n\x1b[31mred"),
        ("\x9b2J", r"\x9b2J"),
        ("user\u202egnp.exe", r"user\u202egnp.exe"),
        ("a\u2028b\u2066c\x7f", r"a\u2028b\u2066c\x7f"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_a_terminal_would_act_on_is_escaped(text: str, shown: str) -> None:
    """Controls of C0 and C1, bidirectional overrides and invisible characters become escapes."""
    assert escape_controls(text) == shown
