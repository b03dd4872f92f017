"""The `botwatch` command: commands over the API, and those that the Botwatch server brings."""

import os
import signal
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from io import TextIOWrapper

from botwatch.cli.exit_codes import FAILED
from botwatch.version import VERSION


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (`botwatch.cli.exit_codes`)."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.encoding.lower() != "utf-8":
            stream.reconfigure(errors="replace")  # a terminal without `≥` or `▁` shows `?`
    try:
        try:
            return _run(words)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # `botwatch rules check | head`: the reader has enough, which is not an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _run(words: list[str]) -> int:
    if words == ["--version"]:  # also without the packages of the command
        print(f"botwatch {VERSION}")
        return 0
    if find_spec("typer") is None:
        sys.stderr.write(
            "botwatch: the command needs packages that the library does not: pip install 'botwatch[cli]'\n"
        )
        return FAILED
    from botwatch.cli.app import run  # noqa: PLC0415 - needs Typer, which the library does not

    return run(words)
