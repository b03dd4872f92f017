"""PostgreSQL for tests: a server of one's own on loopback, and a replica of it."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from tests.support import free_port, unavailable

PASSWORD = "se:cret/1"


class PostgresqlServer(NamedTuple):
    """A server that runs."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    def url(self, user: str = "postgres", password: str = PASSWORD, rest: str = "") -> str:
        """Return its URL."""
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/postgres{rest}"

    def run(self, statement: str, user: str = "postgres") -> str:
        """Run a statement by psql's like: one line, the first figure of the answer."""
        from pg8000 import native  # noqa: PLC0415 - only where there is a server

        with native.Connection(user, host="127.0.0.1", port=self.port, password=PASSWORD) as connection:
            rows = connection.run(statement)
        return str(rows[0][0]) if rows else ""


def postgresql_binaries() -> Path:
    """Return the folder of PostgreSQL's programs; the test is skipped where there are none (CI: fails)."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        unavailable("needs PostgreSQL's server (apt: postgresql)")
    return folders[-1]


@contextmanager
def folder() -> Iterator[Path]:
    """Yield a folder of the server's user; as root that is postgres, for the server refuses to be root."""
    with tempfile.TemporaryDirectory(prefix="botwatch-pg-") as name:
        path = Path(name)
        if user := _user():
            os.chown(path, pwd.getpwnam(user).pw_uid, -1)
        yield path


@contextmanager
def running(data: Path, *options: str) -> Iterator[PostgresqlServer]:
    """Run a server on `data`."""
    port = free_port()
    settings = [f"port={port}", "unix_socket_directories=", "fsync=off", "max_connections=13", *options]
    arguments = [part for setting in settings for part in ("-c", setting)]
    process = subprocess.Popen(
        [postgresql_binaries() / "postgres", "-D", data, *arguments],
        stderr=subprocess.DEVNULL,
        user=_user(),
        cwd=data,
    )
    try:
        yield PostgresqlServer(data, port, process)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(18)  # SIGCONT: a stopped server would not end
            process.send_signal(2)
        process.wait(timeout=30)


@contextmanager
def server(*options: str) -> Iterator[PostgresqlServer]:
    """Run a new server whose superuser has PASSWORD."""
    with folder() as path:
        secret = path / "password"
        secret.write_text(PASSWORD)
        run("initdb", "-D", path / "data", "-A", "scram-sha-256", "-U", "postgres", "--pwfile", secret, "-N")
        hosts = path / "data" / "pg_hba.conf"
        hosts.write_text("host all all all scram-sha-256\nhost replication all all trust\n")
        with running(path / "data", *options) as one:
            yield one


@contextmanager
def replica(primary: PostgresqlServer, *options: str) -> Iterator[PostgresqlServer]:
    """Copy a server and run the copy as its replica."""
    with folder() as path:
        where = ["-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres"]
        run("pg_basebackup", *where, "-D", path / "data", "-R", "-c", "fast", "-X", "stream", "--no-sync")
        with running(path / "data", *options) as one:
            yield one


def run(program: str, *arguments: str | Path) -> None:
    """Run one of PostgreSQL's programs."""
    subprocess.run(
        [postgresql_binaries() / program, *arguments],
        check=True,
        capture_output=True,
        timeout=60,
        user=_user(),
        cwd="/",
    )


def _user() -> str | None:
    return "postgres" if os.geteuid() == 0 else None
