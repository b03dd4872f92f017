"""`botwatch bots`: list, retire and forget bots."""

from typing import Annotated
from urllib.parse import quote

import typer

from botwatch.cli.acting import act
from botwatch.cli.api_command import Api, ListGroup, api_command
from botwatch.cli.exit_codes import FAILED, OK
from botwatch.cli.output import confirm, escape_name
from botwatch.cli.rows import print_bots
from botwatch.typed_json import Document

PATH = "/api/monitoring/bots"
Name = Annotated[str, typer.Argument(help="The bot.")]
Yes = Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")]

app = typer.Typer(cls=ListGroup)


@app.command("list")
@api_command
def list_bots(api: Api) -> int:
    """List all bots."""
    bots = api.get(PATH, list[Document])
    if api.as_json:
        api.print_json(bots)
        return OK
    print_bots(bots)
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
    answer = act(lambda by: api.delete(f"{_path(name)}{_query(by)}", Document))
    _print_change(api, answer, name, "is deleted with all its data")
    return OK


def _change(api: Api, name: str, verb: str, text: str) -> int:
    answer = act(lambda by: api.post(f"{_path(name)}/{verb}{_query(by)}", None, Document))
    _print_change(api, answer, name, text)
    return OK


def _print_change(api: Api, answer: Document, name: str, text: str) -> None:
    if api.as_json:
        api.print_json(answer)
    else:
        print(f"{escape_name(name)} {text}")


def _path(name: str) -> str:
    return f"{PATH}/{quote(name, safe='')}"


def _query(by: str | None) -> str:
    """Return the query that names who acts, for the audit log."""
    return f"?by={quote(by, safe='')}" if by else ""
