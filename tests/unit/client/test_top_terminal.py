"""`botwatch top` on a pseudo-terminal: keys, its size, and the terminal as it was before at every end."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import HANG_S, free_port
from tests.unit.client.conftest import ANSWERS
from tests.unit.client.fake_server import FakeServer

pytestmark = pytest.mark.slow  # starts processes

[ALERT] = (one["alert"] for one in ANSWERS["POST /api/monitoring/alerts/acknowledge"])
SIZES = ("COLUMNS", "LINES")
ENTER_SCREEN, LEAVE_SCREEN, SHOW_CURSOR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"
_STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Screen:
    """The command on a terminal of 80 columns and 24 lines."""

    def __init__(self, url: str, *, program: tuple[str, ...] = ("-m", "botwatch.cli", "top")) -> None:
        self._ours, self._theirs = pty.openpty()
        self.resize(80, 24)
        self.before = termios.tcgetattr(self._theirs)
        environ = os.environ | {"BOTWATCH_URL": url, "TERM": "xterm-256color", "BOTWATCH_TOKEN": "bw_1"}
        self.process = subprocess.Popen(
            [sys.executable, *program],
            stdin=self._theirs, stdout=self._theirs, stderr=self._theirs,
            env={name: text for name, text in environ.items() if name not in SIZES},
            start_new_session=True,
        )  # fmt: skip

    def resize(self, width: int, height: int) -> None:
        """Make it larger or smaller; only what comes then is seen."""
        self.output = ""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def press(self, keys: str) -> None:
        """Type keys."""
        os.write(self._ours, keys.encode())

    def see(self, text: str) -> list[str]:
        """Return the lines of the first screen that has `text`."""
        deadline = time.monotonic() + HANG_S
        while text not in "\n".join(self.frame()):
            ready, _, _ = select.select([self._ours], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"no {text!r} in {self.frame()}"
            self.output += os.read(self._ours, 65_536).decode(errors="replace")
        return self.frame()

    def frame(self) -> list[str]:
        """Return the lines of the last screen: each begins at the top left."""
        return [line.rstrip() for line in _STYLE.sub("", self.output.rpartition("\x1b[H")[2]).splitlines()]

    def wait(self) -> int:
        """Read to the end of the process; return its exit code, negative for a signal."""
        code = self.process.wait(timeout=HANG_S)
        while select.select([self._ours], [], [], 0)[0]:
            self.output += os.read(self._ours, 65_536).decode(errors="replace")
        return code

    def is_restored(self) -> bool:
        """Say whether the terminal is as before: modes, screen, cursor."""
        is_left = self.output.rfind(LEAVE_SCREEN) > self.output.rfind(ENTER_SCREEN)
        return is_left and SHOW_CURSOR in self.output and termios.tcgetattr(self._theirs) == self.before

    def close(self) -> None:
        """End the process and the terminal."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)


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
