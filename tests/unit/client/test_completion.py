"""`botwatch completion`: a real shell completes commands, actions and options."""

import subprocess
import sys
from pathlib import Path

import pytest

from botwatch import cli
from tests.support import require_program

pytestmark = pytest.mark.slow  # starts a shell, which starts the command for each word

SCRIPT = """
source <(botwatch completion bash)
complete -p botwatch
for words in "botwatch sil" "botwatch alerts l" "botwatch backup verify --id"; do
  COMP_WORDS=($words) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  COMPREPLY=()
  _botwatch_completion botwatch
  echo "${COMPREPLY[@]}"
done
"""


def test_bash_completes(tmp_path: Path) -> None:
    """Commands over the API and of the server, their actions and options."""
    command = tmp_path / "botwatch"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m botwatch.cli "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    done = subprocess.run(
        [require_program("bash"), "-c", SCRIPT],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "complete -o default -F _botwatch_completion botwatch",
        "silences",
        "list",
        "--identity",
    ], done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    assert "_BOTWATCH_COMPLETE" in capsys.readouterr().out
