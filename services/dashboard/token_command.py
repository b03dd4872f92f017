"""The command `botwatch token`: API tokens, in the health database of this machine."""

import getpass
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from types import SimpleNamespace as Options
from typing import Annotated

import msgspec
import typer

from shared.access.identity import SCOPE_TEXTS, SCOPES
from shared.access.tokens import ApiToken, TokenRequest, create_token, find_token, list_tokens, revoke_token
from shared.runtime import clock
from shared.runtime.audit_key import audit_key
from shared.runtime.command_home import require_database
from shared.runtime.config.documents import load_documents
from shared.runtime.databases import health_database
from shared.runtime.environment import load_settings
from shared.runtime.settings import PartSettings
from shared.schema.durations import to_timedelta
from shared.schema.faults import Fault, InvalidError
from shared.schema.timestamps import to_wire
from shared.store.audit import AuditEntry, AuditKeyFile, append_audit
from shared.store.database import Database

FAILED = 1
COLUMNS = "{:<10} {:<20} {:<9} {:<26} {:<20} {:<25} {}"

SCOPE_HELP = "May be given several times. " + "; ".join(
    f"{scope}: {text}" for scope, text in SCOPE_TEXTS.items()
)
GLOBS = "name or glob; may be given several times"
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

app = typer.Typer()
Action = Callable[[Database, AuditKeyFile, Options], int]


def _scope(text: str) -> str:
    if text not in SCOPES:
        raise typer.BadParameter(f"expected one of {', '.join(SCOPES)}, got {text!r}")
    return text


@app.command("create")
def create_command(
    name: Annotated[str, typer.Argument()],
    *,
    scope: Annotated[list[str], typer.Option(parser=_scope, metavar="|".join(SCOPES), help=SCOPE_HELP)],
    bot: Annotated[list[str] | None, typer.Option(metavar="GLOB", help=f"Only these bots ({GLOBS}).")] = None,
    host: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help=f"Hosts of a collector ({GLOBS}).")
    ] = None,
    expires: Annotated[str, typer.Option(metavar="DURATION", help="Such as 90d.", show_default="never")] = "",
    act_for_others: Annotated[
        bool, typer.Option("--act-for-others", help="`by` of a request may name somebody else.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Create a token and print it, once."""
    options = Options(
        name=name, scope=scope, bot=bot or [], host=host or [], expires=expires,
        act_for_others=act_for_others, json=as_json,
    )  # fmt: skip
    return run_token_action(_create, options, os.environ)


@app.command("list")
def list_command(*, as_json: Json = False) -> int:
    """List the tokens."""
    return run_token_action(_list, Options(json=as_json), os.environ)


@app.command("revoke")
def revoke_command(name: Annotated[str, typer.Argument(help="Name or ID.")], *, as_json: Json = False) -> int:
    """Revoke a token, everywhere within two seconds."""
    return run_token_action(_revoke, Options(name=name, json=as_json), os.environ)


def run_token_action(run: Action, options: Options, environ: Mapping[str, str]) -> int:
    """Run an action on the health database; print what is wrong and return the exit code."""
    try:
        settings = load_settings(PartSettings, environ)
        database = health_database(settings, load_documents(settings.botwatch_config))
        with closing(database):
            require_database(database, "api_tokens", settings.botwatch_home)
            return run(database, audit_key(settings.botwatch_home, environ), options)
    except InvalidError as error:
        sys.stderr.writelines(f"botwatch token: {_in_words(fault)}\n" for fault in error.faults)
    except OSError as error:
        sys.stderr.write(f"botwatch token: {error}\n")
    return FAILED


def _create(database: Database, key: AuditKeyFile, options: Options) -> int:
    now = clock.now()
    wanted = TokenRequest(
        name=options.name,
        scopes=options.scope,
        bots=options.bot,
        hosts=options.host,
        expires_at=now + _duration(options.expires) if options.expires else None,
        act_for_others=options.act_for_others,
    )
    with database.write() as connection:
        token, secret = create_token(connection, wanted, _user(), now)
        entry = AuditEntry(action="token.create", actor=_user(), target=token.name, after=token.audited())
        append_audit(connection, entry, now, key)
    if options.json:
        _print_json({**msgspec.to_builtins(token), "secret": secret})
        return 0
    ends = f"expires at {to_wire(token.expires_at)}" if token.expires_at else "never expires"
    sys.stderr.write(
        f"Token {token.name} created ({', '.join(token.scopes)}); it {ends}. Every part knows it within two "
        "seconds. Shown only now:\n"
    )
    sys.stdout.write(f"{secret}\n")
    return 0


def _list(database: Database, _key: AuditKeyFile, options: Options) -> int:
    now = clock.now()
    with database.read() as connection:
        tokens = list_tokens(connection)
    if options.json:
        _print_json([{**msgspec.to_builtins(token), "state": token.state_at(now)} for token in tokens])
        return 0
    lines: list[tuple[str, ...]] = [("ID", "NAME", "STATE", "SCOPES", "BOTS, HOSTS", "LAST USED", "EXPIRES")]
    lines += [_columns(token, token.state_at(now)) for token in tokens]
    sys.stdout.writelines(f"{COLUMNS.format(*line)}\n" for line in lines)
    return 0


def _columns(token: ApiToken, state: str) -> tuple[str, ...]:
    names = [*token.bots, *(f"host {host}" for host in token.hosts)]
    used = to_wire(token.last_used_at) if token.last_used_at else "never"
    ends = to_wire(token.expires_at) if token.expires_at else "never"
    return token.id, token.name, state, _joined(token.scopes), _joined(names) or "-", used, ends


def _revoke(database: Database, key: AuditKeyFile, options: Options) -> int:
    now = clock.now()
    with database.write() as connection:
        token = find_token(connection, options.name)
        if token is None:
            raise InvalidError([Fault("NAME", f"no token with the name or ID {options.name!r}")])
        if not token.revoked_at:
            revoke_token(connection, token.id, _user(), now)
            entry = AuditEntry(
                action="token.revoke", actor=_user(), target=token.name, before=token.audited()
            )
            append_audit(connection, entry, now, key)
    if options.json:
        _print_json({"id": token.id, "name": token.name, "state": "revoked"})
    else:
        sys.stdout.write(f"Token {token.name} is revoked; every part refuses it within two seconds.\n")
    return 0


def _duration(text: str) -> timedelta:
    try:
        return to_timedelta(text)
    except ValueError as error:
        raise InvalidError([Fault("--expires", str(error))]) from error


def _in_words(fault: Fault) -> str:
    """Return a fault of a request as one of the command line."""
    return f"{fault.path.removeprefix('$.')}: {fault.message}" if fault.path != "$" else fault.message


def _joined(words: Sequence[str]) -> str:
    return ",".join(words)


def _user() -> str:
    return f"os:{getpass.getuser()}"


def _print_json(value: object) -> None:
    sys.stdout.write(f"{msgspec.json.encode(value).decode()}\n")
