"""The command `botwatch user`: users of the page, in the health database of this machine."""

import getpass
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from types import SimpleNamespace as Options
from typing import Annotated

import msgspec
import segno
import typer

from shared.access.passwords import LoginBusyError, generate_password
from shared.access.sealing import Sealer
from shared.access.users import Actor, Role, User, UserError, Users
from shared.runtime import clock
from shared.runtime.audit_key import audit_key
from shared.runtime.command_home import require_database
from shared.runtime.config.documents import load_documents
from shared.runtime.databases import health_database
from shared.runtime.environment import load_settings
from shared.runtime.settings import PartSettings
from shared.runtime.signed_links import load_secret
from shared.schema.faults import InvalidError
from shared.schema.timestamps import to_wire

FAILED = 1
USAGE_ERROR = 2
COLUMNS = "{:<20} {:<9} {:<9} {:<5} {:>8}  {}"

Name = Annotated[str, typer.Argument(help="The user.")]
Generate = Annotated[bool, typer.Option("--generate", help="Generate the password and print it, once.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

app = typer.Typer()
Action = Callable[[Users, Options, Actor], int]


@app.command("add")
def add_command(
    name: Name,
    *,
    role: Annotated[Role, typer.Option(help="What the user may do.")] = "viewer",
    generate: Generate = False,
    as_json: Json = False,
) -> int:
    """Add a user.

    The password is read from the terminal or standard input.
    """
    options = Options(name=name, role=role, generate=generate, json=as_json)
    return run_action(_add, options, os.environ)


@app.command("list")
def list_command(*, as_json: Json = False) -> int:
    """List the users."""
    return run_action(_list, Options(json=as_json), os.environ)


@app.command("role")
def role_command(name: Name, role: Annotated[Role, typer.Argument()], *, as_json: Json = False) -> int:
    """Change a user's role."""
    return run_action(_set_role, Options(name=name, role=role, json=as_json), os.environ)


@app.command("passwd")
def passwd_command(name: Name, *, generate: Generate = False, as_json: Json = False) -> int:
    """Set a new password, which ends the user's sessions."""
    return run_action(_set_password, Options(name=name, generate=generate, json=as_json), os.environ)


@app.command("disable")
def disable_command(name: Name, *, as_json: Json = False) -> int:
    """Disable a user, which ends the sessions."""
    return run_action(_disable, Options(name=name, json=as_json), os.environ)


@app.command("enable")
def enable_command(name: Name, *, as_json: Json = False) -> int:
    """Enable a disabled user."""
    return run_action(_enable, Options(name=name, json=as_json), os.environ)


@app.command("totp")
def totp_command(
    name: Name,
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Turn it off: the phone is lost.")] = False,
) -> int:
    """Turn on two-factor login: shows a secret, asks for a code."""
    return run_action(_totp, Options(name=name, remove=remove), os.environ)


@app.command("sessions")
def sessions_command(
    name: Name,
    *,
    revoke: Annotated[bool, typer.Option("--revoke", help="End them.")] = False,
    as_json: Json = False,
) -> int:
    """Show how many sessions a user has open."""
    return run_action(_sessions, Options(name=name, revoke=revoke, json=as_json), os.environ)


def run_action(run: Action, options: Options, environ: Mapping[str, str]) -> int:
    """Run an action on the health database; print what is wrong and return the exit code."""
    try:
        settings = load_settings(PartSettings, environ)
        database = health_database(settings, load_documents(settings.botwatch_config))
        with closing(database):
            require_database(database, "users", settings.botwatch_home)
            sealer = Sealer(load_secret(settings.botwatch_home, environ))
            users = Users(database, audit_key(settings.botwatch_home, environ), sealer)
            return run(users, options, Actor(f"os:{getpass.getuser()}"))
    except InvalidError as error:
        sys.stderr.writelines(f"botwatch user: {fault}\n" for fault in error.faults)
    except (UserError, LoginBusyError, OSError) as error:
        sys.stderr.write(f"botwatch user: {error}\n")
    return FAILED


def _add(users: Users, options: Options, by: Actor) -> int:
    password = _new_password(options)
    user = users.add(options.name, options.role, password, by, clock.now())
    return _report_password(options, user, f"User {user.name} added as {user.role}.", password)


def _list(users: Users, options: Options, _: Actor) -> int:
    found = users.list_all(clock.now())
    if options.json:
        return _report(options, found, "")
    if not found:
        _print("No users. Add the first: botwatch user add NAME --role admin")
        return 0
    _print(COLUMNS.format("NAME", "ROLE", "STATUS", "2FA", "SESSIONS", "LAST LOGIN"))
    for user in found:
        _print(_line(user))
    return 0


def _line(user: User) -> str:
    status, code = "disabled" if user.disabled else "enabled", "on" if user.totp else "off"
    last = to_wire(user.last_login_at) if user.last_login_at else "never"
    return COLUMNS.format(user.name, user.role, status, code, user.sessions, last)


def _set_role(users: Users, options: Options, by: Actor) -> int:
    user = users.set_role(options.name, options.role, by, clock.now())
    return _report(options, user, f"User {user.name} is {user.role} now.")


def _set_password(users: Users, options: Options, by: Actor) -> int:
    users.read(options.name)  # before a password is asked for
    password = _new_password(options)
    users.set_password(options.name, password, by, clock.now())
    text = f"Password of {options.name} changed; the sessions were ended."
    return _report_password(options, users.read(options.name), text, password)


def _disable(users: Users, options: Options, by: Actor) -> int:
    user = users.set_disabled(options.name, by, clock.now(), disabled=True)
    return _report(options, user, f"User {user.name} is disabled; the sessions were ended.")


def _enable(users: Users, options: Options, by: Actor) -> int:
    user = users.set_disabled(options.name, by, clock.now(), disabled=False)
    return _report(options, user, f"User {user.name} is enabled.")


def _totp(users: Users, options: Options, by: Actor) -> int:
    user = users.read(options.name)
    if options.remove:
        users.disable_totp(user.name, by, clock.now())
        _print(f"Two-factor login of {user.name} is off.")
        return 0
    enrolment = users.new_totp(user.name)
    if sys.stdout.isatty():
        segno.make(enrolment.uri).terminal(compact=True)
    _print(f"Secret: {enrolment.secret}\n{enrolment.uri}")
    code = _read_line("Code that the app shows: ")
    codes = users.enable_totp(user.name, enrolment.secret, code, by, clock.now())
    _print(f"Two-factor login of {user.name} is on. Recovery codes, each for one login:")
    _print("\n".join(codes))
    return 0


def _sessions(users: Users, options: Options, by: Actor) -> int:
    if options.revoke:
        ended = users.revoke_sessions(options.name, by, clock.now())
        return _report(options, {"ended": ended}, f"Ended {ended} sessions of {options.name}.")
    name = users.read(options.name).name
    opened = next(user.sessions for user in users.list_all(clock.now()) if user.name == name)
    return _report(options, {"open": opened}, f"{name} has {opened} open sessions.")


def _new_password(options: Options) -> str:
    """Generate or read a password; never from the command line, which every user of the machine can see."""
    if options.generate:
        return generate_password()
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("New password: ")
    if getpass.getpass("Again: ") != password:
        raise UserError("the two passwords differ")
    return password


def _report(options: Options, answer: object, text: str) -> int:
    """Print what was done, for a program or for a person."""
    _print(msgspec.json.encode(answer).decode() if options.json else text)
    return 0


def _report_password(options: Options, user: User, text: str, password: str) -> int:
    """Print what was done, and the password if it was generated."""
    if not options.generate:
        return _report(options, user, text)
    return _report(
        options, {**msgspec.to_builtins(user), "password": password}, f"{text}\nPassword: {password}"
    )


def _read_line(prompt: str) -> str:
    if sys.stdin.isatty():
        return input(prompt)
    return sys.stdin.readline().strip()


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
