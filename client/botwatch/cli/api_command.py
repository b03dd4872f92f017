"""Commands over the dashboard's API: `--url`, `--token` and `--json`, and the connection."""

import inspect
import json
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer
from typer.core import TyperGroup

from botwatch.http_client import HttpClient
from botwatch.local_token import find_token

URL = "http://localhost:3001"
Url = Annotated[str, typer.Option("--url", envvar="BOTWATCH_URL", help="URL of the dashboard.")]
Token = Annotated[
    str,
    typer.Option(
        "--token",
        metavar="TOKEN|@FILE",
        help="API token. Better BOTWATCH_TOKEN or @FILE: a word is seen in the list of processes.",
        show_default="BOTWATCH_TOKEN, else that of the Botwatch on this machine",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the API's JSON.")]


class ListGroup(TyperGroup):
    """A group of commands that lists when none is named: `botwatch alerts` is `botwatch alerts list`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - the types inside Typer are private
        """Return what is left of the words."""
        names_none = not args or (args[0].startswith("-") and args[0] != "--help")
        is_list = names_none and not ctx.resilient_parsing  # which completes what is being typed
        return super().parse_args(ctx, ["list", *args] if is_list else args)


P = ParamSpec("P")
S = TypeVar("S")


class Api:
    """The dashboard, and how its answer is to be printed."""

    def __init__(self, url: str, token: str, *, as_json: bool) -> None:
        self._client = HttpClient(url, token=token)
        self.url = url
        self.token = token
        self.as_json = as_json
        self.get = self._client.get
        self.get_bytes = self._client.get_bytes
        self.post = self._client.post
        self.delete = self._client.delete
        self.close = self._client.close

    @staticmethod
    def print_json(document: object) -> None:
        """Print an answer as the API gave it."""
        print(json.dumps(document, ensure_ascii=False, indent=2))


def api_command(function: Callable[Concatenate[Api, P], int]) -> Callable[..., int]:
    """Make a command of a function of an `Api`: adds the options of every command over the API."""

    @wraps(function)
    def command(*arguments: Any, url: str, token: str, as_json: bool, **options: Any) -> int:  # noqa: ANN401
        api = connect(url, token, as_json=as_json)
        try:
            return function(api, *arguments, **options)
        finally:
            api.close()

    signature = inspect.signature(function, eval_str=True)
    _, *own = signature.parameters.values()
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
        for name, kind, default in (("url", Url, URL), ("token", Token, ""), ("as_json", Json, False))
    ]
    command.__signature__ = signature.replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in [*own, *shared]}
    del command.__wrapped__  # or its signature would be read
    return command


def connect(url: str, token: str, *, as_json: bool = False) -> Api:
    """Return the dashboard at `url`."""
    try:
        return Api(url, read_token(token, url), as_json=as_json)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--url") from error


def read_token(given: str, url: str) -> str:
    """Return the API token for requests to `url`: given as a word or `@FILE`, else that of this machine."""
    try:
        return read_word(given, "--token") or find_token(url, os.environ)
    except OSError as error:
        raise typer.BadParameter(str(error), param_hint="BOTWATCH_TOKEN_FILE") from error


def read_word(given: str, option: str) -> str:
    """Return the value of an option, or for `@FILE` what is in the file."""
    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
