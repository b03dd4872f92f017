"""A pseudo-terminal with `botwatch top` on it."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

from tests.support import HANG_S

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
