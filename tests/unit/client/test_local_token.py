"""Which token a command sends."""

from pathlib import Path

import pytest

from botwatch.local_token import TOKEN_FILE, find_token


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the home of a Botwatch on this machine."""
    (tmp_path / TOKEN_FILE).parent.mkdir(parents=True)
    (tmp_path / TOKEN_FILE).write_text("bw_local\n")
    return tmp_path


def test_the_token_of_this_machine_stays_on_it(home: Path) -> None:
    """A command sends it to loopback, and never to another machine."""
    environ = {"BOTWATCH_HOME": str(home)}
    assert find_token("http://localhost:3001", environ) == "bw_local"
    assert find_token("http://127.0.0.1:3001", environ) == "bw_local"
    assert find_token("https://desk.example", environ) == ""
    assert find_token("http://localhost.desk.example", environ) == ""


def test_the_environment_comes_first(home: Path) -> None:
    """BOTWATCH_TOKEN and BOTWATCH_TOKEN_FILE are for every URL."""
    environ = {"BOTWATCH_HOME": str(home), "BOTWATCH_TOKEN": "bw_mine"}
    assert find_token("https://desk.example", environ) == "bw_mine"
    file = home / "token"
    file.write_text("bw_file\n")
    assert find_token("https://desk.example", environ | {"BOTWATCH_TOKEN_FILE": str(file)}) == "bw_file"


def test_without_a_token_none_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is found, the server says whether it needs one."""
    monkeypatch.chdir(tmp_path)
    assert find_token("http://localhost:3001", {}) == ""
    (tmp_path / "var" / "demo" / TOKEN_FILE).parent.mkdir(parents=True)
    (tmp_path / "var" / "demo" / TOKEN_FILE).write_text("bw_demo")
    assert find_token("http://localhost:3001", {}) == "bw_demo"
