"""The command `botwatch user`: users of the page, in the health database of this machine."""

import argparse
import getpass
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import closing

import msgspec
import segno

from shared.access.passwords import LoginBusyError, generate_password
from shared.access.sealing import Sealer
from shared.access.users import ROLES, Actor, User, UserError, Users
from shared.runtime import clock
from shared.runtime.audit_key import audit_key
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

Action = Callable[[Users, argparse.Namespace, Actor], int]


def add_user_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `botwatch user`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    def action(name: str, text: str, run: Action, *, with_name: bool = True) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=text, description=text[0].upper() + text[1:])
        if with_name:
            added.add_argument("name", metavar="NAME")
        added.set_defaults(run=lambda options: run_action(run, options, os.environ))
        return added

    add = action("add", "add a user; the password is read from the terminal or standard input", _add)
    add.add_argument("--role", choices=ROLES, default="viewer", help="default: viewer")
    _add_generate(add)
    listing = action("list", "list the users", _list, with_name=False)
    listing.add_argument("--json", action="store_true", help="for programs")
    role = action("role", "change a user's role", _set_role)
    role.add_argument("role", choices=ROLES)
    _add_generate(action("passwd", "set a new password, which ends the user's sessions", _set_password))
    action("disable", "disable a user, which ends the sessions", _disable)
    action("enable", "enable a disabled user", _enable)
    totp = action("totp", "turn on two-factor login: shows a secret, asks for a code", _totp)
    totp.add_argument("--remove", action="store_true", help="turn it off: the phone is lost")
    sessions = action("sessions", "show how many sessions a user has open", _sessions)
    sessions.add_argument("--revoke", action="store_true", help="end them")


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--generate", action="store_true", help="generate the password and print it, once")


def run_action(run: Action, options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run an action on the health database; print what is wrong and return the exit code."""
    try:
        settings = load_settings(PartSettings, environ)
        database = health_database(settings, load_documents(settings.botwatch_config))
        with closing(database):
            database.require_schema("users")
            sealer = Sealer(load_secret(settings.botwatch_home, environ))
            users = Users(database, audit_key(settings.botwatch_home, environ), sealer)
            return run(users, options, Actor(f"os:{getpass.getuser()}"))
    except InvalidError as error:
        sys.stderr.writelines(f"botwatch user: {fault}\n" for fault in error.faults)
    except (UserError, LoginBusyError, OSError) as error:
        sys.stderr.write(f"botwatch user: {error}\n")
    return FAILED


def _add(users: Users, options: argparse.Namespace, by: Actor) -> int:
    password = _new_password(options)
    user = users.add(options.name, options.role, password, by, clock.now())
    _print(f"User {user.name} added as {user.role}.")
    _print_generated(options, password)
    return 0


def _list(users: Users, options: argparse.Namespace, _: Actor) -> int:
    found = users.list_all(clock.now())
    if options.json:
        _print(msgspec.json.encode(found).decode())
        return 0
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


def _set_role(users: Users, options: argparse.Namespace, by: Actor) -> int:
    user = users.set_role(options.name, options.role, by, clock.now())
    _print(f"User {user.name} is {user.role} now.")
    return 0


def _set_password(users: Users, options: argparse.Namespace, by: Actor) -> int:
    users.read(options.name)  # before a password is asked for
    password = _new_password(options)
    users.set_password(options.name, password, by, clock.now())
    _print(f"Password of {options.name} changed; the sessions were ended.")
    _print_generated(options, password)
    return 0


def _disable(users: Users, options: argparse.Namespace, by: Actor) -> int:
    users.set_disabled(options.name, by, clock.now(), disabled=True)
    _print(f"User {options.name} is disabled; the sessions were ended.")
    return 0


def _enable(users: Users, options: argparse.Namespace, by: Actor) -> int:
    users.set_disabled(options.name, by, clock.now(), disabled=False)
    _print(f"User {options.name} is enabled.")
    return 0


def _totp(users: Users, options: argparse.Namespace, by: Actor) -> int:
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


def _sessions(users: Users, options: argparse.Namespace, by: Actor) -> int:
    if options.revoke:
        ended = users.revoke_sessions(options.name, by, clock.now())
        _print(f"Ended {ended} sessions of {options.name}.")
        return 0
    users.read(options.name)
    opened = next(user.sessions for user in users.list_all(clock.now()) if user.name == options.name)
    _print(f"{options.name} has {opened} open sessions.")
    return 0


def _new_password(options: argparse.Namespace) -> str:
    """Generate or read a password; never from the command line, which every user of the machine can see."""
    if options.generate:
        return generate_password()
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("New password: ")
    if getpass.getpass("Again: ") != password:
        raise UserError("the two passwords differ")
    return password


def _print_generated(options: argparse.Namespace, password: str) -> None:
    if options.generate:
        _print(f"Password: {password}")


def _read_line(prompt: str) -> str:
    if sys.stdin.isatty():
        return input(prompt)
    return sys.stdin.readline().strip()


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
