"""The server registers exactly the commands that the client names as the server's."""

import configparser
import re
import subprocess
import tomllib
from importlib.metadata import EntryPoint

import pytest

from botwatch.cli.app import API_COMMANDS, COMMANDS_GROUP, SERVER_COMMANDS
from botwatch.cli.exit_codes import MEANINGS
from shared.runtime.settings import REPOSITORY

PYPROJECT = REPOSITORY / "pyproject.toml"
REGISTERED: dict[str, str] = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["entry-points"][
    COMMANDS_GROUP
]


def test_client_and_server_name_the_same_commands() -> None:
    """Without the server, `botwatch NAME` says of each of them what to install."""
    assert REGISTERED.keys() == SERVER_COMMANDS.keys()


@pytest.mark.parametrize("name", SERVER_COMMANDS)
def test_a_registered_command_exists(name: str) -> None:
    """Each entry point names a function."""
    assert callable(EntryPoint(name, REGISTERED[name], COMMANDS_GROUP).load())


def test_the_image_registers_the_same_commands() -> None:
    """The Dockerfile writes the entry points of pyproject.toml in the format of package metadata."""
    dockerfile = (REPOSITORY / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    [script] = re.findall(r"sed -n '(.*)' /pyproject.toml", dockerfile)
    done = subprocess.run(
        ["sed", "-n", script, str(PYPROJECT)], capture_output=True, text=True, timeout=10, check=True
    )
    written = configparser.ConfigParser(delimiters=("=",))
    written.read_string(done.stdout)
    assert {name: dict(written[name]) for name in written.sections()} == {COMMANDS_GROUP: REGISTERED}


def test_the_page_shows_every_command_and_exit_code() -> None:
    """`python -m tests.transcripts docs/cli.md` writes it."""
    page = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    assert re.findall(r"^### `botwatch (\w+)`$", page, re.MULTILINE) == [*API_COMMANDS, *SERVER_COMMANDS]
    assert all(f"| {code} | {meaning} |" in page for code, meaning in MEANINGS.items())
