"""The command `botwatch config`: check, show and compare the settings and the config documents."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace as Options
from typing import Annotated, Any

import msgspec
import typer
from sqlalchemy.exc import SQLAlchemyError

from shared.runtime.audit_key import audit_key
from shared.runtime.config.changes import describe_changes, redact
from shared.runtime.config.documents import DOCUMENTS, Documents, load_documents, read_documents
from shared.runtime.config.mute_config import parse_mute_config
from shared.runtime.config.rules import load_rules
from shared.runtime.config_audit import redact_documents
from shared.runtime.databases import health_database
from shared.runtime.environment import load_settings
from shared.runtime.settings import REPOSITORY, PartSettings
from shared.schema.faults import InvalidError
from shared.schema.terminal_escaping import escape_controls
from shared.store.audit import read_audited_documents

OK, FAILED = 0, 1
SHIPPED = REPOSITORY / "deploy" / "config"
SECRET_SETTINGS = {"redis_url", "internal_tokens"}
Folder = Annotated[
    Path | None,
    typer.Argument(help="Of the documents.", show_default="BOTWATCH_CONFIG, else the shipped one"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

app = typer.Typer()


class Source(msgspec.Struct, frozen=True, rename="camel"):
    """A value and where it comes from."""

    value: Any
    source: str
    """`file`, `environment NAME`, or `default`."""


@app.command()
def check(folder: Folder = None, *, as_json: Json = False) -> int:
    """Check the settings and every document.

    Prints file and path of every fault; exit code 1 if there is one.
    """
    try:
        settings = load_settings(PartSettings, os.environ)
        documents = load_documents(folder or settings.botwatch_config)
        rules = len(load_rules(documents))
        parse_mute_config(documents)
    except InvalidError as error:
        if as_json:
            _print_json({"ok": False, "faults": error.faults})
        else:
            sys.stderr.writelines(f"botwatch config check: {fault}\n" for fault in error.faults)
        return FAILED
    counts = {
        "rules": rules,
        "channels": len(documents.channels),
        "checks": len(documents.health.monitoring.checks),
    }
    if as_json:
        _print_json({"ok": True, "folder": str(folder or settings.botwatch_config), **counts})
    else:
        said = ", ".join(
            f"{count} {name.removesuffix('s') if count == 1 else name}" for name, count in counts.items()
        )
        print(f"{folder or settings.botwatch_config} is valid: {said}")
    return OK


@app.command()
def show(
    folder: Folder = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="Defaults too.")] = False,
    as_json: Json = False,
) -> int:
    """Show the settings and documents in effect.

    Also where each value comes from; secrets are masked.
    """
    try:
        settings = load_settings(PartSettings, os.environ)
        chosen = folder or settings.botwatch_config
        found = {
            "environment": dict(_settings(settings, os.environ)),
            **_documents(load_documents(chosen), read_documents(chosen)),
        }
    except InvalidError as error:
        sys.stderr.writelines(f"botwatch config show: {fault}\n" for fault in error.faults)
        return FAILED
    shown = {
        name: {path: one for path, one in values.items() if all_ or one.source != "default"}
        for name, values in found.items()
    }
    if as_json:
        _print_json(shown)
        return OK
    for name, values in shown.items():
        print(name)
        for path, one in values.items():
            value = one.value if isinstance(one.value, str) else msgspec.json.encode(one.value).decode()
            print(escape_controls(f"  {path}: {value}  ({one.source})"))
        if not values:
            print("  everything is a default")
    return OK


@app.command()
def diff(
    folder: Folder = None,
    *,
    loaded: Annotated[
        bool,
        typer.Option("--loaded", help="Against what Botwatch has loaded, instead of the shipped documents."),
    ] = False,
    as_json: Json = False,
) -> int:
    """Compare the documents with the shipped or the loaded ones.

    Exit code 1 if they differ.
    """
    try:
        settings = load_settings(PartSettings, os.environ)
        lines = _differences(Options(folder=folder, loaded=loaded), settings)
    except InvalidError as error:
        sys.stderr.writelines(f"botwatch config diff: {fault}\n" for fault in error.faults)
        return FAILED
    except SQLAlchemyError as error:
        sys.stderr.write(f"botwatch config diff: {str(error).partition(chr(10))[0]}\n")
        return FAILED
    if as_json:
        _print_json(lines)
    else:
        against = "what Botwatch has loaded" if loaded else "the shipped documents"
        print("\n".join(map(escape_controls, lines)) or f"The documents are the same as {against}.")
    return FAILED if lines else OK


def _differences(options: Options, settings: PartSettings) -> list[str]:
    folder = options.folder or settings.botwatch_config
    documents = load_documents(folder)
    if not options.loaded:
        before, after = (_masked(read_documents(one)) for one in (SHIPPED, folder))
        return describe_changes(before, after)
    with closing(health_database(settings, documents)) as database:
        database.require_schema("audit_log")
        with database.read() as connection:
            before = read_audited_documents(connection)
    return describe_changes(before, redact_documents(folder, audit_key(settings.botwatch_home, os.environ)))


def _masked(documents: Mapping[str, Any]) -> dict[str, Any]:
    """Return documents without secrets; a secret keeps a fingerprint, so that a change of it is seen."""
    return {
        name: redact(value, lambda text: sha256(text.encode(errors="replace")).hexdigest()[:8])
        for name, value in documents.items()
    }


def _settings(settings: PartSettings, environ: Mapping[str, str]) -> Iterator[tuple[str, Source]]:
    for field in msgspec.structs.fields(settings):
        name = field.name.upper()
        value = msgspec.to_builtins(getattr(settings, field.name), enc_hook=str)
        if field.name in SECRET_SETTINGS and value:
            value = "redacted"
        given = next((one for one in (f"{name}_FILE", name) if environ.get(one)), None)
        yield name, Source(value, f"environment {given}" if given else "default")


def _documents(documents: Documents, written: Mapping[str, Any]) -> dict[str, dict[str, Source]]:
    """Return every value of each document by its path."""
    sections = (documents.performance, documents.health, documents.notifications)
    found = {}
    for name, section in zip(DOCUMENTS, sections, strict=True):
        masked = _masked({name: msgspec.to_builtins(section, enc_hook=str)})[name]
        found[name] = dict(_leaves(masked, _masked(written).get(name), "$"))
    return found


def _leaves(value: Any, written: Any, path: str) -> Iterator[tuple[str, Source]]:  # noqa: ANN401 - JSON
    if isinstance(value, dict) and value:
        known = written if isinstance(written, dict) else {}
        for key, one in value.items():
            yield from _leaves(one, known.get(key), f"{path}.{key}")
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        known_items = written if isinstance(written, list) else []
        for place, one in enumerate(value):
            given = known_items[place] if place < len(known_items) else None
            yield from _leaves(one, given, f"{path}[{place}]")
    elif written is None:
        yield path, Source(value, "default")
    else:
        is_reference = isinstance(written, str) and written.startswith("${")
        yield path, Source(value, f"environment {written}" if is_reference else "file")


def _print_json(value: object) -> None:
    print(msgspec.json.format(msgspec.json.encode(value)).decode())
