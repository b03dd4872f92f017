"""What `botwatch up` refuses before it starts anything."""

import socket

import pytest

from botwatch import cli
from services.native.preflight import StartError, ensure_ports_free
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


def test_every_port_that_cannot_be_used_is_reported() -> None:
    """One that two settings share and one that is taken are a sentence each."""
    shared = free_port()
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        with pytest.raises(StartError) as raised:
            ensure_ports_free({"DASHBOARD_PORT": shared, "WEBSOCKET_PORT": shared, "REDIS_PORT": taken})
    first, second = raised.value.args
    assert first == f"DASHBOARD_PORT and WEBSOCKET_PORT are both set to {shared}; use different ports"
    assert second.startswith(f"port {taken} (REDIS_PORT) is taken by ")
    assert second.endswith("; stop that process, or set REDIS_PORT to another port")
