"""The command `botwatch up`: run every part on this machine until Ctrl-C."""

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from typing import Annotated

import typer

from services.native.diagnostics.site import Site
from services.native.preflight import StartError, require_ready
from services.native.stack import NativeStack
from services.native.terminal import AlertPrinter, greeting
from shared.runtime.signals import stop_on
from shared.schema.faults import InvalidError

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
    try:
        require_ready(Site(environ, demo=demo))
        stack = NativeStack(environ, demo=demo)
        stack.prepare()
    except (StartError, InvalidError) as error:
        faults = error.faults if isinstance(error, InvalidError) else error.args
        sys.stderr.writelines(f"botwatch up: {fault}\n" for fault in faults)
        return 1
    stopping = threading.Event()
    stop_on((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), stopping)
    with stack:
        code = stack.wait_until_ready(stopping)
        if code == 0 and not stopping.is_set():
            print(greeting(stack.addresses(), time.monotonic() - started, demo=demo), flush=True)
            code = stack.follow(AlertPrinter(stack.redis), stopping)
        print("\nBotwatch is stopping …", flush=True)
    print("Botwatch has stopped.", flush=True)
    return code
