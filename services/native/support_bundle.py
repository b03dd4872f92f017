"""The support bundle: what helps to find a problem, without secrets and, unless asked, without records."""

import io
import json
import os
import platform
import re
import sqlite3
import tarfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from importlib.metadata import distributions
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from services.native.diagnostics.finding import Finding
from services.native.diagnostics.site import Site
from shared.runtime.logging_setup import redact_credentials
from shared.runtime.redis.acl import SECRETS
from shared.runtime.settings import read_variable
from shared.store.revisions import open_read_only, stored_revision
from shared.version import VERSION

LOG_BYTES = 256 * 1024
"""The end of each log."""
ROWS = 100
QUERY_LIMIT_S = 10.0
MASK = "***"
SHORTEST_SECRET = 6
"""A shorter value is no secret, and masking it would garble the logs."""
_SECRET_KEY = re.compile(r"url|password|secret|token|key|username|webhook|header|body|dsn", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)")
_ONLY_VARIABLE = re.compile(r"\$\{[A-Za-z_]\w*(?::-)?\}")
_TOKEN = re.compile(r"\bbw_[\w-]+|(?<=Bearer )\S+|\bencrypted:\S+")
_SECRET_VARIABLE = re.compile("|".join(SECRETS.values()))


def write_bundle(path: Path, site: Site, findings: Iterable[Finding], *, records: bool = False) -> None:
    """Write the bundle to `path`, readable by this user only. Raises OSError."""
    config, named = _config(site)
    scrub = Scrubber([*_secrets(site), *named])
    files = {
        "doctor.json": _json(msgspec.to_builtins(list(findings))),
        "versions.json": _json(_versions()),
        "settings.json": _json(_settings(site)),
        "databases.json": _json({name: _database(file) for name, file in site.databases.items()}),
        "job-runs.json": _json(_rows(site.databases["health"], "job_runs") if site.databases else []),
        **{f"config/{name}": text for name, text in config.items()},
        **{f"logs/{log.name}": _end(log) for log in sorted((site.home / "logs").glob("*.log"))},
    }
    if records:
        for file in filter(Path.exists, site.databases.values()):
            files |= {f"records/{file.stem}/{name}.json": text for name, text in _records(file)}
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as target, tarfile.open(fileobj=target, mode="w:gz") as archive:
        os.fchmod(handle, 0o600)
        for name, text in files.items():
            data = scrub(text).encode()
            entry = tarfile.TarInfo(f"botwatch-support/{name}")
            entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o600
            archive.addfile(entry, io.BytesIO(data))


class Scrubber:
    """Replaces known secrets, tokens and the credentials in URLs."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted({one for one in secrets if len(one) >= SHORTEST_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """Return `text` without secrets."""
        if self._known:
            text = self._known.sub(MASK, text)
        return redact_credentials(_TOKEN.sub(MASK, text))


def mask(value: object, secrets: list[str], *, is_secret: bool = False) -> object:
    """Return a config document with every value masked that may be a secret; add those to `secrets`.

    Of a URL its scheme and, if it is an HTTP one, its host stay; `${NAME}` stays.
    """
    match value:
        case dict():
            found: dict[str, object] = {}
            for key, item in value.items():
                if key == "heartbeats" and isinstance(item, dict):  # its keys are the secrets
                    secrets.extend(map(str, item))
                    item = {f"{str(one)[:4]}{MASK}": section for one, section in item.items()}  # noqa: PLW2901
                hidden = is_secret or bool(_SECRET_KEY.search(str(key)))
                found[str(key)] = mask(item, secrets, is_secret=hidden)
            return found
        case list():
            return [mask(item, secrets, is_secret=is_secret) for item in value]
        case str() if (is_secret or "://" in value) and value and not _ONLY_VARIABLE.fullmatch(value):
            secrets.append(value)
            return _masked_url(value)
    return value


def _masked_url(text: str) -> str:
    try:
        url = urlsplit(text)
    except ValueError:
        return MASK
    if not url.scheme or "://" not in text:
        return MASK
    host = url.hostname if url.scheme in ("http", "https") else MASK
    return f"{url.scheme}://{host}/{MASK}" if host != MASK else f"{url.scheme}://{MASK}"


def _config(site: Site) -> tuple[dict[str, str], list[str]]:
    """Return the config documents, masked, and the secrets found in them."""
    secrets: list[str] = []
    found = {}
    folder = site.settings.botwatch_config
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix not in (".json", ".yml"):
            continue
        try:
            data = path.read_bytes()
            names = _VARIABLE.findall(data.decode(errors="replace"))
            secrets.extend(read_variable(name, site.environ) for name in names)
            value = msgspec.json.decode(data) if path.suffix == ".json" else msgspec.yaml.decode(data)
        except (OSError, ValueError) as error:
            found[path.name] = f"not included: {error}\n"
            continue
        found[path.name] = _json(mask(value, secrets))
    return found, secrets


def _secrets(site: Site) -> Iterator[str]:
    """Yield every secret of the environment and of the generated credentials."""
    for name in site.environ:
        if _SECRET_VARIABLE.fullmatch(name.removesuffix("_FILE")) or name in ("REDIS_URL", "REDIS_URL_FILE"):
            try:
                yield from _with_password(read_variable(name.removesuffix("_FILE"), site.environ))
            except OSError:
                continue  # then it is in no log either
    for path in site.credentials.rglob("*") if site.credentials.is_dir() else ():
        if path.is_file() and path.suffix != ".acl":
            yield from _with_password(path.read_text(encoding="utf-8", errors="replace").strip())


def _with_password(text: str) -> Iterator[str]:
    yield text
    try:
        yield urlsplit(text).password or ""
    except ValueError:
        return


def _versions() -> dict[str, object]:
    packages = {one.name: one.version for one in distributions()}
    return {
        "botwatch": VERSION,
        "python": platform.python_version(),
        "system": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
        "packages": dict(sorted(packages.items())),
    }


def _settings(site: Site) -> dict[str, str]:
    names = (field.name for field in msgspec.structs.fields(type(site.settings)))
    return {name.upper(): str(getattr(site.settings, name)) for name in names}


def _end(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - LOG_BYTES))
        return file.read().decode(errors="replace")


def _database(path: Path) -> dict[str, Any]:
    """Return sizes of a database file and of its tables and indexes, bytes."""
    if not path.exists():
        return {"missing": True}
    wal = path.with_name(f"{path.name}-wal")
    found: dict[str, Any] = {
        "bytes": path.stat().st_size,
        "walBytes": wal.stat().st_size if wal.exists() else 0,
    }
    try:
        found["schema"] = stored_revision(path)
        with closing(open_read_only(path)) as connection:
            deadline = time.monotonic() + QUERY_LIMIT_S
            connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
            statement = "SELECT name, SUM(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC"
            found["tables"] = dict(connection.execute(statement).fetchall())
    except sqlite3.Error as error:
        found["error"] = str(error)  # no dbstat in this SQLite, or a very large file
    return found


def _rows(path: Path, table: str, last: int = ROWS) -> list[dict[str, Any]]:
    try:
        with closing(open_read_only(path)) as connection:
            connection.row_factory = sqlite3.Row
            statement = f'SELECT * FROM "{table}" ORDER BY rowid DESC LIMIT ?'  # noqa: S608 - names of our tables
            return [dict(row) for row in connection.execute(statement, (last,))]
    except sqlite3.Error:
        return []


def _records(path: Path) -> Iterator[tuple[str, str]]:
    with closing(open_read_only(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (name,) in tables:
        yield name, _json(_rows(path, name))


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n"
