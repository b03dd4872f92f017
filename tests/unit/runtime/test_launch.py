"""What the process of a part has in its environment, natively."""

import json
import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("part", "sees"), [("recorder", False), ("notifier", True)])
def test_a_part_is_launched_without_the_private_variables_of_others(part: str, sees: bool) -> None:
    """The recorder does not get the token of a channel; nobody gets the list of what is private."""
    environ = {"TELEGRAM_TOKEN": "1:a", "BOTWATCH_PRIVATE": json.dumps({"TELEGRAM_TOKEN": ["notifier"]})}
    module = [
        "timeit",
        "--number=1",
        "--repeat=1",
        "import os; print(*os.environ)",
    ]  # any that runs a statement
    command = [sys.executable, "-m", "shared.runtime.launch", part, *module]
    done = subprocess.run(
        command, env=os.environ | environ, capture_output=True, text=True, check=True, timeout=60
    )
    names = done.stdout.splitlines()[0].split()
    assert ("TELEGRAM_TOKEN" in names, "BOTWATCH_PRIVATE" in names) == (sees, False)
