"""The command `botwatch up`: run every part on this machine until Ctrl-C."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
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
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(_prepare, dict(environ), demo=demo).result()


def _prepare(environ: Mapping[str, str], *, demo: bool) -> PreparedStack:
    from services.native.preparation import check_and_prepare  # noqa: PLC0415 - not in the process of `up`

    return check_and_prepare(environ, demo=demo)
