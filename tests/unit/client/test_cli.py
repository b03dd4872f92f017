"""The `botwatch` command: its help, its version, and how it ends."""

import os
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from botwatch import cli
from botwatch.cli import app
from botwatch.version import VERSION

pytestmark = pytest.mark.slow  # starts processes

COMMAND = [sys.executable, "-m", "botwatch.cli"]


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, as for every wrong command line, and the list of commands rather than an error."""
    assert cli.main([]) == 2
    shown = capsys.readouterr().err
    assert "Run every part on this machine" in shown
    assert "required" not in shown


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`botwatch --version` prints the name and the version."""
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"botwatch {VERSION}\n"


def test_a_closed_pipe_is_no_error() -> None:
    """`botwatch rules check | head -1` ends quietly."""
    command = " ".join([*COMMAND, "rules", "check"])
    # head ends before the command writes: its pipe is broken for certain
    done = subprocess.run(
        ["sh", "-c", f"(sleep 0.1; exec {command}) | true"],
        stderr=subprocess.PIPE, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stderr == ""


def test_a_terminal_without_a_character_shows_another() -> None:
    """Of a locale that is not UTF-8: the command does not end with a traceback."""
    done = subprocess.run(
        [*COMMAND, "silences", "add", "--help"],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "MATCHER?" in done.stdout


def test_a_server_command_that_cannot_be_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command whose packages are not installed says which one is missing."""
    broken = EntryPoint("up", "no_such_package.module:add", app.COMMANDS_GROUP)
    monkeypatch.setattr(app, "entry_points", lambda **_: [broken])
    assert cli.main(["up", "--demo"]) == 1
    assert capsys.readouterr().err == (
        "botwatch: 'up' is not available in this installation: No module named 'no_such_package'\n"
    )


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["bott"], "botwatch: No such command 'bott'. Did you mean 'bot', 'bots'? See `botwatch --help`.\n"),
        (
            ["bots", "lits"],
            "botwatch bots: No such command 'lits'. Did you mean 'list'? See `botwatch bots --help`.\n",
        ),
        (
            ["bots", "retire"],
            "botwatch bots retire: Missing argument 'name'. See `botwatch bots retire --help`.\n",
        ),
        (
            ["alerts", "--severity", "FOO"],
            (
                "botwatch alerts list: Invalid value for '--severity': 'FOO' is not one of 'critical', "
                "'high', 'medium', 'low'. See `botwatch alerts list --help`.\n"
            ),
        ),
        (
            ["alerts", "--limit", "x"],
            (
                "botwatch alerts list: Invalid value for '--limit': expected a valid integer, got 'x'. "
                "See `botwatch alerts list --help`.\n"
            ),
        ),
        (
            ["completion"],
            (
                "botwatch completion: Missing argument 'shell'. Choose from: bash, zsh, fish. "
                "See `botwatch completion --help`.\n"
            ),
        ),
    ],
)
def test_a_wrong_command_line(words: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line: the command, what is wrong, where the help is."""
    assert cli.main(words) == 2
    assert capsys.readouterr().err == error
