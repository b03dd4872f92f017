"""supervisord with parts that are forked: `python -m services.native.supervisord -c FILE`.

Imports would take most of a part's CPU time at the start, and most of its memory. This process imports what
parts have in common once; each part is a fork of it that runs its module as `python -m MODULE` would, and is
restarted alone. A service's own modules are imported by its part: their metrics belong to no other.

Any other program is executed. So are the parts on macOS, whose libraries do not survive a fork.
"""

import ctypes
import gc
import importlib
import os
import pkgutil
import runpy
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from supervisor import loggers, options, process, supervisord  # type: ignore[import-untyped]
from supervisor.medusa import asyncore_25 as asyncore  # type: ignore[import-untyped]

import shared
from services.native.part_environment import part_environment

CAN_FORK = sys.platform == "linux"
LIBRARIES = (
    "cronsim",
    "cryptography.x509",
    "gunicorn.app.wsgiapp",
    "jinja2.sandbox",
    "psutil",
    "rq.cron",
    "websockets.asyncio.server",
)
"""What parts import and `shared` does not."""
EXIT_NOT_SPAWNED = 127
"""supervisord's exit code of a process that could not become its program."""
FIRST_DESCRIPTOR, MAX_DESCRIPTORS = 3, 1024
HANDLED = (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR2)
"""Signals that supervisord handles, besides SIGINT."""


class ForkedPart(BaseException):
    """Leaves supervisord's loop in the process of a part; `words` is its command line."""

    def __init__(self, words: list[str]) -> None:
        self.words = words


class LogFile(loggers.RotatingFileHandler):  # type: ignore[misc]
    """A log file that is opened again when its path means another file, or none, as after `gzip`."""

    def emit(self, record: object) -> None:
        """Write to the file at the path."""
        try:
            found = Path(self.baseFilename).stat()
            moved = not os.path.samestat(found, os.fstat(self.stream.fileno()))
        except FileNotFoundError:
            moved = True
        if moved:
            self.reopen()
        super().emit(record)


class PartProcess(process.Subprocess):  # type: ignore[misc]
    """A program of supervisord; one whose command is `python -m MODULE` is a part."""

    def _spawn_as_child(self, filename: str, argv: list[str]) -> None:
        if argv[1] == "-m":
            try:
                environ = part_environment(self.config.name, os.environ)
                os.environ.clear()
                os.environ.update(environ)
                if CAN_FORK:
                    self._leave_supervisord()
            except OSError as error:
                self.config.options.write(2, f"supervisor: {self.config.name} cannot start: {error}\n")
                os._exit(EXIT_NOT_SPAWNED)
            if CAN_FORK:
                raise ForkedPart(argv)
        super()._spawn_as_child(filename, argv)

    def _leave_supervisord(self) -> None:
        system = self.config.options
        system.unlink_pidfile = False  # it is the parent's
        signal.set_wakeup_fd(-1)
        for number in HANDLED:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        system.setpgrp()
        system.minfds = FIRST_DESCRIPTOR  # which leaves the others to run_module
        self._prepare_child_fds()


class PartOptions(options.ServerOptions):  # type: ignore[misc]
    """supervisord's options and its access to the system."""

    def setsignals(self) -> None:
        """Handle signals, each at once."""
        super().setsignals()
        SignalWaker()

    def cleanup_fds(self) -> None:
        """Keep the descriptors at a restart by SIGHUP: the parts' secrets are among them."""


class SignalWaker:
    """Wakes supervisord's loop at a signal: `poll` alone continues to wait (PEP 475), for up to a second."""

    def __init__(self) -> None:
        self._receiving, sending = os.pipe()
        os.set_blocking(self._receiving, False)
        os.set_blocking(sending, False)
        signal.set_wakeup_fd(sending, warn_on_full_buffer=False)
        asyncore.socket_map[self._receiving] = self

    def readable(self) -> bool:
        """Return that there may be a signal to read."""
        return True

    def writable(self) -> bool:
        """Return that nothing is written."""
        return False

    def handle_read_event(self) -> None:
        """Take the numbers of the signals, which supervisord's own handlers have noted."""
        os.read(self._receiving, 512)


def main() -> None:
    """Run supervisord; in the process of a part, run the part."""
    preload()
    # supervisord has no setting for its classes.
    process.Subprocess, supervisord.ServerOptions = PartProcess, PartOptions
    loggers.RotatingFileHandler = LogFile
    words = None
    try:
        supervisord.main(sys.argv[1:])
    except ForkedPart as forked:
        words = forked.words
    if words:
        run_module(words)


def preload() -> None:
    """Import what several parts need; what cannot be imported is reported by the part that needs it."""
    if not CAN_FORK:
        return
    gc.disable()  # it would leave holes that parts fill, each in a copy of the page
    for name in (*_shared_modules(), *LIBRARIES):
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever a module raises
            sys.stderr.write(f"{name} cannot be imported before its part starts: {error}\n")
    if sys.version_info < (3, 12):  # later, names have no reference count
        # It holds thousands of names; a part that replaces one touches it, and so copies its page.
        sys._clear_type_cache()  # noqa: SLF001 - in the documentation of sys
    gc.freeze()
    gc.enable()


def _shared_modules() -> Iterator[str]:
    """Yield the names of all shared modules but those of migrations, which end before the parts start."""
    for module in pkgutil.walk_packages(shared.__path__, "shared."):
        if not module.name.endswith(".migrate"):
            yield module.name


def run_module(words: list[str]) -> None:
    """Run `python -m MODULE…`, the command line `words`, in this process."""
    # supervisord's objects are never collected: their files would close the part's of the same number, and
    # each would have to be copied.
    gc.freeze()
    os.closerange(FIRST_DESCRIPTOR, MAX_DESCRIPTORS)
    module, *arguments = words[2:]
    sys.orig_argv[:] = words
    sys.argv[:] = [module, *arguments]
    show_command_line(words)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def show_command_line(words: list[str]) -> None:
    """Have `ps` show `words` for this process, as far as they fit in the room of its command line.

    See `arg_start` and `arg_end` in proc(5).
    """
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    text = b"".join(os.fsencode(word) + b"\0" for word in words)
    room = end - start
    ctypes.memmove(start, text[: room - 1].ljust(room, b"\0"), room)


if __name__ == "__main__":
    main()
