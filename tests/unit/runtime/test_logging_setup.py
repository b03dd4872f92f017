"""Logs never show credentials, and nothing in them acts on a terminal."""

import subprocess
import sys

from shared.runtime.logging_setup import redact_credentials


def test_user_and_password_of_a_url_are_hidden() -> None:
    text = "cannot reach redis://user:secret@host:6379/0 and mailto://a:b@smtp"
    assert redact_credentials(text) == "cannot reach redis://***@host:6379/0 and mailto://***@smtp"


def test_a_password_with_an_at_sign_is_hidden_to_its_end() -> None:
    assert redact_credentials("redis://:pa@ss@host:6379/0") == "redis://***@host:6379/0"


def test_a_very_long_word_is_passed_over_at_once() -> None:
    """Tried from each of its letters, this one would take an hour."""
    text = "a" * 1_000_000
    assert redact_credentials(f"{text} http://a:b@c") == f"{text} http://***@c"


HOSTILE = """
import structlog
from shared.runtime.logging_setup import configure_logging
from shared.runtime.settings import PartSettings
configure_logging("probe", PartSettings())
try:
    raise ValueError("a\\x1b[31mred")
except ValueError:
    structlog.get_logger().exception("failed", reason="b\\n\\x1b]0;title\\x07")
"""


def test_control_characters_in_a_log_line_are_escaped() -> None:
    """What a receiver answered or a bot sent may be in a log line: its escapes reach no terminal."""
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE], capture_output=True, text=True, check=True, timeout=30
    )
    assert "\x1b" not in done.stderr
    assert r"\x1b[31mred" in done.stderr
    assert "Traceback (most recent call last):\n" in done.stderr
