"""The commands by name; only the one that is called is imported.

The server's distribution registers its commands in the entry-point group `botwatch.commands`, each as a
`typer.Typer`.
"""
# ruff: noqa: ANN401 - the types inside Typer are private

import os
import sys
from contextlib import redirect_stdout
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Annotated, Any

import typer
from typer._completion_classes import completion_init  # what `add_completion` calls
from typer.core import TyperCommand, TyperGroup

from botwatch.cli.exit_codes import FAILED, MEANINGS, USAGE_ERROR, exit_code
from botwatch.errors import BotwatchError, FullError, UnreachableError
from botwatch.version import VERSION

COMMANDS_GROUP = "botwatch.commands"
COMPLETE_VARIABLE = "_BOTWATCH_COMPLETE"
"""Set by a shell's completion script, which asks for the words that may follow."""
API_COMMANDS = MappingProxyType(
    {
        "status": "show how everything is; exit code 1 unless HEALTHY",
        "bots": "list, retire and forget bots",
        "bot": "show a bot: metrics, positions, trades, open alerts",
        "alerts": "list, show, acknowledge and silence alerts",
        "silences": "list, add and expire silences",
        "checks": "list checks, and show one with its availability",
        "oncall": "show who is on call, now and next",
        "report": "list, create and download reports",
        "send": "send records, checked before they are sent",
        "tail": "follow records and alerts as they happen",
        "top": "show everything live on the terminal",
        "completion": "print a script that completes commands in bash, zsh or fish",
    }
)
"""Commands over the API, each in the module of its name in `botwatch.cli.commands`: name → help."""
SERVER_COMMANDS = MappingProxyType(
    {
        "up": "run every part on this machine until Ctrl-C",
        "audit": "list, export and verify the audit log",
        "rules": "validate, explain and test the rules",
        "config": "check, show and compare the configuration",
        "notify": "test notification channels",
        "doctor": "find out what is wrong, and how to fix it",
        "token": "create, list and revoke API tokens",
        "user": "add, list and change the users of the page",
        "import": "send the past of a bot from files",
        "replay": "compute a bot's metrics from files, offline",
        "encrypt": "encrypt a value (on standard input) for the config",
        "backup": "create, list and verify backups",
        "restore": "restore a backup",
        "maintain": "free space now, and show the sizes before and after",
    }
)
"""Commands of the server's distribution, on the machine that it runs on: name → help."""
_PANELS = (
    ("Over the API (--url, BOTWATCH_URL)", API_COMMANDS),
    ("On the machine of the server", SERVER_COMMANDS),
)


_PYDANTIC_WORDS = MappingProxyType(
    {
        "Value error, ": "",
        "Input should be ": "expected ",
        ", unable to parse string as an integer": "",
        ", unable to parse string as a number": "",
    }
)


class CommandUnavailableError(Exception):
    """A command of the server cannot be loaded here; the message says why and what to do."""


class CommandGroup(TyperGroup):
    """All commands: named without an import, imported when called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - Typer's signature
        """Return the names in the order of the help."""
        return [name for _, commands in _PANELS for name in commands]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Return a command that has only its name and help."""
        for panel, commands in _PANELS:
            if cmd_name in commands:
                text = commands[cmd_name]
                help_text = f"{text[0].upper()}{text[1:]}."
                return TyperCommand(cmd_name, help=help_text, rich_help_panel=panel)
        return None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the called command, imported."""
        self.commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and _load(command), rest


def run(words: list[str]) -> int:
    """Run one command; errors are one or two sentences on stderr."""
    app = _create_app()
    if is_completing := COMPLETE_VARIABLE in os.environ:
        completion_init()
    try:
        if not words and not is_completing:
            with redirect_stdout(sys.stderr):
                app(["--help"], prog_name="botwatch", standalone_mode=False)
            return USAGE_ERROR
        code = app(words, prog_name="botwatch", standalone_mode=False)
    except BotwatchError as error:
        return _fail(f"botwatch: {error}{_advice(error)}", exit_code(error))
    except CommandUnavailableError as error:
        return _fail(f"botwatch: {error}", FAILED)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "botwatch"
        sentence = _sentence(error)
        stop = "" if sentence.endswith((".", "?")) else "."
        return _fail(f"{path}: {sentence}{stop} See `{path} --help`.", error.exit_code)
    except typer.Abort:
        return _fail("botwatch: aborted", FAILED)
    except SystemExit as end:  # Typer's answer to a closed pipe, which is `main`'s to give
        raise end.__context__ if isinstance(end.__context__, BrokenPipeError) else end from None
    return code if isinstance(code, int) else 0


def _create_app() -> Any:
    app = typer.Typer(
        cls=CommandGroup,
        help="Monitors trading bots.",
        epilog="Exit codes: " + ", ".join(f"{code} {text}" for code, text in MEANINGS.items()) + ".",
        add_completion=False,
        rich_markup_mode=_markup_mode(),
    )

    @app.callback()
    def botwatch(
        version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    ) -> None:
        if version:
            print(f"botwatch {VERSION}")
            raise typer.Exit

    return typer.main.get_command(app)


def _load(command: Any) -> Any:
    name = command.name or ""
    app = _import_command(name)
    app.rich_markup_mode = _markup_mode()
    app._add_completion = False  # noqa: SLF001 - Typer has no other way for an app made elsewhere
    loaded = typer.main.get_command(app)
    loaded.name = name
    loaded.help = loaded.help or command.help
    return loaded


def _import_command(name: str) -> typer.Typer:
    if name in API_COMMANDS:
        app = import_module(f"botwatch.cli.commands.{name}").app
    else:
        found = next(iter(entry_points(group=COMMANDS_GROUP, name=name)), None)
        if found is None:
            raise CommandUnavailableError(
                f"'{name}' comes with the Botwatch server, which is not installed here: "
                "run `make run` in Botwatch's repository, or install its distribution `botwatch-server`"
            )
        try:
            app = found.load()
        except ModuleNotFoundError as error:
            raise CommandUnavailableError(
                f"'{name}' is not available in this installation: {error}"
            ) from error
    loaded: typer.Typer = app
    return loaded


def _markup_mode() -> Any:
    """Return Rich's boxes for a terminal, plain text for a file or a pipe."""
    return "rich" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else None


def _sentence(error: typer.TyperException) -> str:
    """Return the message in one line, with the value that was given in place of Pydantic's words."""
    text = " ".join(error.format_message().split())
    find_causes = getattr(error.__cause__, "errors", None)
    if find_causes is None:
        return text
    given = repr(find_causes()[0]["input"])
    for words, ours in _PYDANTIC_WORDS.items():
        text = text.replace(words, ours)
    return text if given in text else f"{text}, got {given}"


def _advice(error: BotwatchError) -> str:
    """Return what to do next, as a sentence that follows the error's."""
    if isinstance(error, UnreachableError):
        return ". Is Botwatch running? Start it with `botwatch up`, or say where it is with --url."
    if isinstance(error, FullError):
        return ". Try again later; `botwatch doctor` shows what is full."
    if error.status in (401, 403):
        return ". An admin makes a token with `botwatch token create`; set BOTWATCH_TOKEN to it."
    return ""


def _fail(text: str, code: int) -> int:
    sys.stderr.write(f"{text}\n")
    return code
