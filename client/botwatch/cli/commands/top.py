"""`botwatch top`: everything live on the terminal."""

import os
import signal
import sys
from datetime import UTC, datetime

import typer
from rich.console import Console
from rich.live import Live

from botwatch.cli.acting import user_name
from botwatch.cli.api_command import URL, Api, Token, Url, connect
from botwatch.cli.exit_codes import OK
from botwatch.cli.top.details import detail_lines
from botwatch.cli.top.model import Model, Quit, Snapshot
from botwatch.cli.top.poller import Acknowledged, Detail, Failure, Poller, Refused, Result
from botwatch.cli.top.screen import draw
from botwatch.cli.top.terminal import Terminal

WAIT_S = 60.0
"""Without a key or an answer for so long, the clock on the screen is drawn again."""

app = typer.Typer()


@app.command()
def top(url: Url = URL, token: Token = "") -> int:
    """Show bots, open alerts, hosts, checks and what happened last, live; `?` lists the keys."""
    console = Console()
    if not (sys.stdin.isatty() and console.is_terminal) or console.is_dumb_terminal:
        raise typer.BadParameter("needs a terminal; `botwatch status` prints the same once", param_hint="top")
    api = connect(url, token)
    try:
        _run(api, console)
    finally:
        api.close()
    return OK


def _run(api: Api, console: Console) -> None:
    terminal = Terminal()
    poller = Poller(api, terminal.wake)
    model = Model(poller.fetch(), user_name())  # an error here is the command's
    poller.start()
    while _show(model, poller, terminal, console):
        terminal.is_suspending = False
        os.kill(os.getpid(), signal.SIGSTOP)  # Ctrl-Z; goes on here after `fg`


def _show(model: Model, poller: Poller, terminal: Terminal, console: Console) -> bool:
    """Show the dashboard until it is left; return whether it is only suspended."""
    with terminal.raw(), Live(console=console, screen=True, auto_refresh=False) as live:
        while not terminal.is_suspending:
            size = os.get_terminal_size(sys.stdout.fileno())
            live.update(draw(model, size.columns, size.lines, datetime.now(UTC)), refresh=True)
            for key in terminal.wait(WAIT_S):
                action = model.press(key)
                if isinstance(action, Quit):
                    return False
                if action:
                    poller.do(action)
            while not poller.results.empty():
                take(model, poller.results.get())
    return True


def take(model: Model, result: Result) -> None:
    """Put what was fetched into the model."""
    match result:
        case Snapshot():
            model.snapshot, model.error = result, ""
        case Failure(reason):
            model.error = reason
        case Refused(wanted, reason):
            model.message = reason
            if wanted == model.opened:
                model.opened = None
        case Acknowledged(alert):
            model.message = f"Acknowledged by {alert.get('assignee')}: {alert['message']}"
        case Detail(opened, answer) if opened == model.opened:
            model.detail = detail_lines(opened, answer, datetime.now(UTC))
