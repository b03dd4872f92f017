"""`botwatch bots`: list, retire and forget bots."""

import getpass
import os
from typing import Annotated
from urllib.parse import quote

import typer

from botwatch.cli.api_command import Api, api_command
from botwatch.cli.exit_codes import FAILED, OK
from botwatch.cli.output import age, confirm, escape_name, print_table
from botwatch.typed_json import Document

PATH = "/api/monitoring/bots"
Name = Annotated[str, typer.Argument(help="The bot.")]
Yes = Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")]

app = typer.Typer()


@app.command("list")
@api_command
def list_bots(api: Api) -> int:
    """List all bots."""
    bots = api.get(PATH, list[Document])
    if api.as_json:
        api.print_json(bots)
        return OK
    print_table(
        ("BOT", "LAST RECORD>", "OPEN ALERTS>", "RETIRED"),
        [
            (str(one["bot"]), age(_seconds(one)), str(one.get("activeAlerts", 0)), _retired(one))
            for one in bots
        ],
        empty="No bot has sent a record yet.",
    )
    return OK


@app.command()
@api_command
def retire(api: Api, name: Name) -> int:
    """Resolve a bot's alerts and open none for its absence."""
    return _change(api, name, "retire", "is retired; its absence opens no alert")


@app.command()
@api_command
def unretire(api: Api, name: Name) -> int:
    """Expect a retired bot again."""
    return _change(api, name, "unretire", "is expected again")


@app.command()
@api_command
def forget(api: Api, name: Name, *, yes: Yes = False) -> int:
    """Delete a bot and all its data; this cannot be undone."""
    question = f"Delete {escape_name(name)} and all its records, trades and metrics? This cannot be undone."
    if not yes and not confirm(question):
        return FAILED
    answer = api.delete(f"{_path(name)}?{_by()}", Document)
    _print_change(api, answer, name, "is deleted with all its data")
    return OK


def _change(api: Api, name: str, verb: str, text: str) -> int:
    answer = api.post(f"{_path(name)}/{verb}?{_by()}", None, Document)
    _print_change(api, answer, name, text)
    return OK


def _print_change(api: Api, answer: Document, name: str, text: str) -> None:
    if api.as_json:
        api.print_json(answer)
    else:
        print(f"{escape_name(name)} {text}")


def _path(name: str) -> str:
    return f"{PATH}/{quote(name, safe='')}"


def _by() -> str:
    """Return the query that names who runs the command, for the audit log."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        user = f"uid {os.getuid()}"
    return f"by={quote(user, safe='')}"


def _seconds(bot: Document) -> float | None:
    value = bot.get("ageSeconds")
    return float(value) if isinstance(value, int | float) else None


def _retired(bot: Document) -> str:
    return "retired" if bot.get("retired") else ""
