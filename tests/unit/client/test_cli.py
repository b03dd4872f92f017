"""The `botwatch` command says what it can do, and every mistake in one sentence."""

import subprocess
import sys

import pytest

from botwatch import cli

COMMAND = [sys.executable, "-m", "botwatch.cli"]


def test_without_a_command_it_shows_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, as for every misuse, and the list of commands rather than an error."""
    assert cli.main([]) == 2
    shown = capsys.readouterr().err
    assert "run every part on this machine" in shown
    assert "required" not in shown


def test_it_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`botwatch --version` prints the name and the version of the distribution."""
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out.startswith("botwatch 0.")


def test_a_reader_that_has_enough_is_no_error() -> None:
    """`botwatch rules check | head -1` ends quietly."""
    command = " ".join([*COMMAND, "rules", "check"])
    # head ends before the command writes: its pipe is broken for certain
    done = subprocess.run(
        ["sh", "-c", f"(sleep 0.1; exec {command}) | true"],
        stderr=subprocess.PIPE, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DASHBOARD_PORT", "abc", "expected a whole number from 1 to 65535, got 'abc'"),
        ("REDIS_PORT", "70000", "expected a whole number from 1 to 65535, got '70000'"),
        ("LOG_LEVEL", "loud", "expected debug or error or info or warning, got 'loud'"),
    ],
)
def test_a_wrong_variable_is_one_sentence(
    name: str,
    value: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It names the variable, what was expected and what it was."""
    monkeypatch.setenv(name, value)
    assert cli.main(["up"]) == 1
    assert capsys.readouterr().err == f"botwatch up: {name}: {expected}\n"
