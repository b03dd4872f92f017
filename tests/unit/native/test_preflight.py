"""What `botwatch up` refuses before it starts anything."""

import socket
from pathlib import Path

import pytest

from botwatch import cli
from services.native.diagnostics.site import Site
from services.native.preflight import create_folders, require_ready
from services.native.start_error import StartError
from tests.support import free_port


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DASHBOARD_PORT", "abc", "expected a whole number from 1 to 65535, got 'abc'"),
        ("REDIS_PORT", "70000", "expected a whole number from 1 to 65535, got '70000'"),
        ("LOG_LEVEL", "loud", "expected debug or error or info or warning, got 'loud'"),
    ],
)
def test_an_invalid_variable_is_one_sentence(
    name: str,
    value: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It has the variable, what was expected and what it was."""
    monkeypatch.setenv(name, value)
    assert cli.main(["up"]) == 1
    assert capsys.readouterr().err == f"botwatch up: {name}: {expected}\n"


def test_everything_that_is_wrong_is_reported_at_once(tmp_path: Path) -> None:
    """Ports, documents and folders are a sentence each, with what to do."""
    shared = free_port()
    config = tmp_path / "config"
    config.mkdir()
    (config / "performance_logger.json").write_text('{"alertng": {}}')
    (tmp_path / "home").touch()
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        environ = {
            "BOTWATCH_HOME": str(tmp_path / "home"),
            "BOTWATCH_CONFIG": str(config),
            "INGESTION_PORT": str(free_port()),
            "DASHBOARD_PORT": str(shared),
            "WEBSOCKET_PORT": str(shared),
            "REDIS_PORT": str(taken),
        }
        with pytest.raises(StartError) as raised:
            require_ready(Site(environ))
    faults = raised.value.args
    assert f"DASHBOARD_PORT and WEBSOCKET_PORT are both set to {shared}; use different ports" in faults
    [port] = [fault for fault in faults if fault.startswith(f"port {taken} (REDIS_PORT) is taken by ")]
    assert port.endswith("; stop that process, or set REDIS_PORT to another port")
    assert any("$.alertng: unknown key; did you mean `alerting`?" in fault for fault in faults)
    assert any(fault.startswith(f"cannot write to {tmp_path}/home/data/redis: ") for fault in faults)


def test_a_home_has_what_the_guide_names(tmp_path: Path) -> None:
    """The seed's relative paths lead to the config folder, the start script and the folders it cleans."""
    home, config = tmp_path / "home", tmp_path / "config"
    config.mkdir()
    for _ in range(2):  # a second start leaves it as it is
        create_folders(home, config)
    here = home / "enterprise" / "monitoring"
    assert (here / "start_monitoring.sh").resolve().name == "start_monitoring.sh"
    assert (here / "../../config/monitoring").resolve() == config
    for folder in ("data/monitoring", "backups/monitoring", "logs", "tmp/monitoring", "results"):
        assert (here / "../.." / folder).is_dir(), folder


def test_a_moved_config_folder_moves_the_link(tmp_path: Path) -> None:
    """A link is corrected; a folder that a user has put there stays."""
    home, first, second = tmp_path / "home", tmp_path / "first", tmp_path / "second"
    create_folders(home, first)
    create_folders(home, second)
    link = home / "config" / "monitoring"
    assert link.readlink() == second
    link.unlink()
    link.mkdir()
    create_folders(home, first)
    assert not link.is_symlink()
