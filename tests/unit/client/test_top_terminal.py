"""`botwatch top` on a pseudo-terminal: keys, its size, and the terminal as it was before at every end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import HANG_S, free_port
from tests.unit.client.conftest import ANSWERS
from tests.unit.client.fake_server import FakeServer
from tests.unit.client.terminal import ENTER_SCREEN, LEAVE_SCREEN, Screen

pytestmark = pytest.mark.slow  # starts processes

[ALERT] = (one["alert"] for one in ANSWERS["POST /api/monitoring/alerts/acknowledge"])


@pytest.fixture
def screen(fake_dashboard: FakeServer) -> Iterator[Screen]:
    """Show the dashboard until the end of the test."""
    found = Screen(fake_dashboard.url)
    yield found
    found.close()


def test_a_session_with_its_keys(screen: Screen, fake_dashboard: FakeServer) -> None:
    """Details, an acknowledgement, another size, and q, which restores the terminal."""
    assert len(screen.see("? help")) == 24
    screen.press("\r")
    screen.see("Timeline")
    screen.press("\x1b")
    screen.see("RECENT")
    screen.press("a")
    screen.see("Acknowledge ")
    screen.press("\x15\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7fann\r")
    screen.see("Comment of ann")
    screen.press("on it\r")
    screen.see("Acknowledged by ann")
    assert {"by": "ann", "comment": "on it"} in [one.body for one in fake_dashboard.asked]
    screen.resize(160, 50)
    os.kill(screen.process.pid, signal.SIGWINCH)
    assert len(screen.see("Acknowledged by ann")) == 50
    screen.press("q")
    assert screen.wait() == 0
    assert screen.is_restored()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)], ids=str
)
def test_a_signal(number: signal.Signals, code: int, screen: Screen) -> None:
    """The terminal is restored, and the exit code says which one it was."""
    screen.see("RECENT")
    os.kill(screen.process.pid, number)
    assert screen.wait() == code
    assert screen.is_restored()


def test_an_exception(fake_dashboard: FakeServer) -> None:
    """Even a fault of the program restores the terminal, and is seen after it."""
    program = (
        "import sys; from botwatch import cli; from botwatch.cli.top.model import Model\n"
        "Model.press = lambda *_: 1 / 0\n"
        "sys.exit(cli.main(['top']))"
    )
    screen = Screen(fake_dashboard.url, program=("-c", program))
    try:
        screen.see("RECENT")
        screen.press("x")
        assert screen.wait() == 1
        assert screen.is_restored()
        assert "ZeroDivisionError" in screen.output.rpartition(LEAVE_SCREEN)[2]
    finally:
        screen.close()


def test_the_dashboard_goes_and_comes_back(screen: Screen, fake_dashboard: FakeServer) -> None:
    """The data stay, marked as old with the reason; then they are live again."""
    screen.see("RECENT")
    routes = fake_dashboard.routes
    fake_dashboard.routes = {}
    screen.see("not live since")
    assert "answered 404: not in the" in screen.see("? help")[1]
    fake_dashboard.routes = routes
    screen.see("live ")


def test_without_a_terminal_or_a_dashboard(fake_dashboard: FakeServer) -> None:
    """Each is an error before the screen is touched."""
    environ: dict[str, Any] = os.environ | {"BOTWATCH_URL": fake_dashboard.url}
    done = subprocess.run(
        [sys.executable, "-m", "botwatch.cli", "top"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environ, timeout=HANG_S, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "needs a terminal; `botwatch status` prints the same once" in done.stderr
    screen = Screen(f"http://127.0.0.1:{free_port()}")
    try:
        assert screen.wait() == 3
        assert ENTER_SCREEN not in screen.output
    finally:
        screen.close()
