"""The command `botwatch up`: run every part on this machine until Ctrl-C."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from typing import Annotated

import typer

from services.native.prepared_stack import PreparedStack
from services.native.stack import NativeStack
from services.native.start_error import StartError
from services.native.terminal import AlertPrinter, greeting
from shared.runtime.file_modes import restrict_umask
from shared.runtime.signals import stop_on

app = typer.Typer()


@app.command("up")
def up_command(
    *, demo: Annotated[bool, typer.Option("--demo", help="With a demo bot on real market data.")] = False
) -> int:
    """Run every part on this machine until Ctrl-C."""
    return up(os.environ, demo=demo)


def up(environ: Mapping[str, str], *, demo: bool) -> int:
    """Run every part until Ctrl-C, SIGTERM or SIGHUP; return the exit code."""
    started = time.monotonic()
    restrict_umask()
    try:
        stack = NativeStack(_prepare_apart(environ, demo=demo))
    except StartError as error:
        sys.stderr.writelines(f"botwatch up: {fault}\n" for fault in error.args)
        return 1
    stopping = threading.Event()
    stop_on((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), stopping)
    with stack:
        code = stack.wait_until_ready(stopping)
        if code == 0 and not stopping.is_set():
            print(greeting(stack.addresses, time.monotonic() - started, demo=demo), flush=True)
            code = stack.follow(AlertPrinter(stack.redis), stopping)
        print("\nBotwatch is stopping …", flush=True)
    print("Botwatch has stopped.", flush=True)
    return code


def _prepare_apart(environ: Mapping[str, str], *, demo: bool) -> PreparedStack:
    """Check and prepare in a process of its own, which takes its modules with it when it ends."""
    # Where a fork is safe it saves the start of an interpreter.
    method = get_context("fork") if sys.platform == "linux" else get_context("spawn")
    receiving, sending = Pipe(duplex=False)
    process = method.Process(target=_prepare, args=(sending, dict(environ), demo))
    process.start()
    sending.close()
    try:
        result: PreparedStack | BaseException = receiving.recv()
    except EOFError:
        process.join()
        result = StartError(f"the checks ended early (exit code {process.exitcode})")
    process.join()
    if isinstance(result, BaseException):
        raise result
    return result


def _prepare(sending: Connection, environ: Mapping[str, str], demo: bool) -> None:
    """Send what was prepared, or why nothing was."""
    result: PreparedStack | BaseException
    try:
        from services.native.preparation import check_and_prepare  # noqa: PLC0415 - not for `up` itself

        result = check_and_prepare(environ, demo=demo)
    except (StartError, KeyboardInterrupt) as error:
        result = error
    with contextlib.suppress(BrokenPipeError):  # `up` was killed
        sending.send(result)
