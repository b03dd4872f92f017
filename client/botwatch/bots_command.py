"""`botwatch bots`: list, retire and forget bots through the dashboard's API."""

import argparse
import getpass
import os
import sys
from dataclasses import dataclass
from urllib.parse import quote

from botwatch.errors import BotwatchError
from botwatch.http_client import HttpClient
from botwatch.local_token import find_token
from botwatch.typed_json import Document

URL = "http://localhost:3001"
PATH = "/api/monitoring/bots"
_RESULT_TEXTS = {
    "retire": "is retired; its absence opens no alert",
    "unretire": "is expected again",
    "forget": "is deleted with all its data",
}


@dataclass
class _BotSummary:
    bot: str
    retired: bool = False
    active_alerts: int = 0
    age_seconds: float | None = None


def add_bots_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `botwatch bots`."""
    parser.set_defaults(run=run_bots)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    common = argparse.ArgumentParser(add_help=False)
    url = os.environ.get("BOTWATCH_URL") or URL
    common.add_argument("--url", default=url, help=f"URL of the dashboard (default: BOTWATCH_URL or {URL})")
    actions.add_parser("list", parents=[common], help="list all bots")
    for name, text in (
        ("retire", "resolve a bot's alerts and open none for its absence"),
        ("unretire", "expect a retired bot again"),
        ("forget", "delete a bot and all its data; this cannot be undone"),
    ):
        action = actions.add_parser(name, parents=[common], help=text)
        action.add_argument("name", metavar="NAME")
        if name == "forget":
            action.add_argument("--yes", action="store_true", help="skip the confirmation")


def run_bots(options: argparse.Namespace) -> int:
    """Run one action; return 0, 1 if the dashboard rejects it or is not responding, 2 for a wrong URL."""
    try:
        server = HttpClient(options.url, token=find_token(options.url))
    except ValueError as error:
        sys.stderr.write(f"botwatch bots: --url: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"botwatch bots: BOTWATCH_TOKEN_FILE: {error}\n")
        return 2
    try:
        return _run_action(server, options)
    except BotwatchError as error:
        sys.stderr.write(f"botwatch bots: {error}\n")
        return 1
    finally:
        server.close()


def _run_action(server: HttpClient, options: argparse.Namespace) -> int:
    if options.action == "list":
        for one in server.get(PATH, list[_BotSummary]):
            print(_line(one))
        return 0
    path = f"{PATH}/{quote(options.name, safe='')}"
    by = f"?by={quote(_user(), safe='')}"
    if options.action == "forget":
        if not options.yes and not _confirm(options.name):
            return 1
        server.delete(path + by, Document)
    else:
        server.post(f"{path}/{options.action}{by}", None, Document)
    print(f"{_escape_name(options.name)} {_RESULT_TEXTS[options.action]}")
    return 0


def _user() -> str:
    """Return the user who runs the command, for the audit log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return f"uid {os.getuid()}"


def _line(bot: _BotSummary) -> str:
    seen = "unknown" if bot.age_seconds is None else f"{bot.age_seconds:.0f} s ago"
    retired = ", retired" if bot.retired else ""
    return f"{_escape_name(bot.bot)}: last record {seen}, open alerts {bot.active_alerts}{retired}"


def _escape_name(name: str) -> str:
    """Return a name with control characters escaped, for a terminal."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in name)


def _confirm(name: str) -> bool:
    """Ask on the terminal; without one the answer is no."""
    sys.stderr.write(
        f"Delete {_escape_name(name)} and all its records, trades and metrics? This cannot be undone. [y/N] "
    )
    sys.stderr.flush()
    is_sure = sys.stdin.readline().strip().lower() in ("y", "yes")
    if not is_sure:
        sys.stderr.write("\nbotwatch bots: aborted (use --yes to skip the confirmation)\n")
    return is_sure
