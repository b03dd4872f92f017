"""Who acts: the user of this machine, or the owner of the token."""

import getpass
import os
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, TypeVar

import typer

from botwatch.errors import RefusedError

By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who acts.", show_default="you")]
T = TypeVar("T")


def act(send: Callable[[str | None], T], by: str = "") -> T:
    """Return what `send` returns for the name of who acts: `by`, or else the user of this machine.

    A token that may not act for others acts in its own name.
    """
    try:
        return send(by or user_name())
    except RefusedError as error:
        if by or error.status != HTTPStatus.FORBIDDEN or "act for others" not in str(error):
            raise
        return send(None)


def user_name() -> str:
    """Return the name of the user who runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return f"uid {os.getuid()}"
