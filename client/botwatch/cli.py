"""The `botwatch` command: the client's own commands, and those that the Botwatch server brings.

The server's distribution registers each of its commands in the entry-point group `botwatch.commands`: a
function that takes the command's parser, adds arguments and sets the default `run` (options → exit code).
It is loaded only when that very command is called.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points

from botwatch.bots_command import add_bots_arguments
from botwatch.version import VERSION

COMMANDS_GROUP = "botwatch.commands"
SERVER_COMMANDS = {
    "up": "run every part on this machine until Ctrl-C",
    "audit": "list, export and verify the audit log",
    "rules": "validate, explain and test the rules",
    "notify": "test notification channels",
    "doctor": "find out what is wrong, and how to fix it",
    "token": "create, list and revoke API tokens",
    "user": "add, list and change the users of the page",
    "replay": "compute a bot's metrics from files, offline",
    "encrypt": "encrypt a value (on standard input) for the config",
    "backup": "create, list and verify backups",
    "restore": "restore a backup",
    "maintain": "free space now: expired rows, old files and logs, free pages; show sizes",
}
"""Commands of the server's distribution: name → help."""


class CommandUnavailableError(Exception):
    """A command of the server cannot be loaded here; the message says why and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code; 2 for a wrong command line."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        try:
            return _run(words)
        finally:
            sys.stdout.flush()  # also after --help, which leaves by SystemExit
    except BrokenPipeError:
        # `botwatch rules check | head`: the reader has enough, which is not an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _run(words: list[str]) -> int:
    try:
        parser = _create_parser(words[0] if words else "")
    except CommandUnavailableError as error:
        sys.stderr.write(f"botwatch: {error}\n")
        return 1
    options = parser.parse_args(words)
    if options.run is None:
        parser.print_help(sys.stderr)
        return 2
    code: int = options.run(options)
    return code


def _create_parser(called: str) -> argparse.ArgumentParser:
    """Return the parser of all commands; of the server's, only `called` has its arguments."""
    parser = argparse.ArgumentParser(prog="botwatch", description="Monitors trading bots.")
    parser.add_argument("--version", action="version", version=f"botwatch {VERSION}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(metavar="COMMAND")
    add_bots_arguments(
        commands.add_parser(
            "bots", help="list, retire and forget bots", description="List, retire and forget bots"
        )
    )
    for name, text in SERVER_COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:])
        if name == called:
            _add_server_arguments(name, command)
    return parser


def _add_server_arguments(name: str, parser: argparse.ArgumentParser) -> None:
    found = next(iter(entry_points(group=COMMANDS_GROUP, name=name)), None)
    if found is None:
        raise CommandUnavailableError(
            f"'{name}' comes with the Botwatch server, which is not installed here: "
            "run `make run` in Botwatch's repository, or install its distribution `botwatch-server`"
        )
    try:
        add_arguments = found.load()
    except ModuleNotFoundError as error:
        raise CommandUnavailableError(f"'{name}' is not available in this installation: {error}") from error
    add_arguments(parser)


if __name__ == "__main__":
    sys.exit(main())
