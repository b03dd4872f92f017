"""The audit log in the database: appended with the change, chained across processes, verified, folded."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update

from shared.runtime.audit_key import audit_key, rotate_audit_key
from shared.schema.faults import InvalidError
from shared.store.audit import (
    FOLD_INTERVAL,
    MAX_DENIALS,
    AuditEntry,
    AuditKeyFile,
    append_audit,
    append_denials,
    verify_audit,
)
from shared.store.audit_chain import ChainReport
from shared.store.database import Database
from shared.store.tables import audit_denials, audit_log

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
def key(tmp_path: Path) -> AuditKeyFile:
    return audit_key(tmp_path, {})


def append(database: Database, key: AuditKeyFile, action: str = "user.add", **fields: object) -> None:
    values = {"actor": "ann", "target": "bob"} | fields
    with database.write() as connection:
        append_audit(connection, AuditEntry(action=action, **values), NOON, key)  # type: ignore[arg-type]


def deny(database: Database, key: AuditKeyFile, address: str, at: datetime = NOON) -> None:
    entry = AuditEntry(action="login", actor="eve", address=address, target="page", outcome="denied")
    with database.write() as connection:
        append_audit(connection, entry, at, key)


def verify(database: Database, key: AuditKeyFile) -> ChainReport:
    with database.read() as connection:
        return verify_audit(connection, key)


def entries(database: Database) -> list[tuple[str, str | None, int]]:
    with database.read() as connection:
        columns = (audit_log.c.action, audit_log.c.address, audit_log.c["count"])
        return [tuple(row) for row in connection.execute(select(*columns).order_by(audit_log.c.id))]


def test_older_rows_are_sealed(health: Database, key: AuditKeyFile) -> None:
    """Rows from before the chain are kept, and a change of one is found."""
    with health.write() as connection:
        for bot in ("a", "b"):
            row = {"timestamp": "2026-01-01 00:00:00.000", "action": "bot.forget", "subject": bot, "by": None}
            connection.execute(insert(audit_log).values(row))
    append(health, key)
    assert [action for action, *_ in entries(health)] == ["bot.forget", "bot.forget", "user.add"]
    report = verify(health, key)
    assert (report.fault, report.older, report.entries) == (None, 2, 1)
    with health.write() as connection:
        connection.execute(update(audit_log).where(audit_log.c.id == 2).values(subject="c"))
    fault = verify(health, key).fault
    assert fault == (1, "or another up to 3 was changed, removed or inserted")


def test_rolled_back(health: Database, key: AuditKeyFile) -> None:
    """An entry goes with its transaction, and the head stays where it was."""
    append(health, key)
    head = key.read_head()
    with pytest.raises(RuntimeError), health.write() as connection:
        append_audit(connection, AuditEntry(action="user.add", actor="ann", target="c"), NOON, key)
        raise RuntimeError
    assert (key.read_head(), verify(health, key).entries) == (head, 1)
    append(health, key)
    assert verify(health, key).fault is None


def test_truncated_then_appended(health: Database, key: AuditKeyFile) -> None:
    """Removed entries at the end are found, also after the product has appended more than were removed."""
    for _ in range(3):
        append(health, key)
    with health.write() as connection:
        connection.execute(delete(audit_log).where(audit_log.c.id > 2))
    fault = verify(health, key).fault
    assert fault == (3, "is missing (removed at the end: 3)")
    for _ in range(4):
        append(health, key, action="user.remove")
    fault = verify(health, key).fault
    assert fault
    assert fault.id == 3


def test_head_gone(health: Database, key: AuditKeyFile) -> None:
    """A removed head file is not made again by the next entry: the loss stays visible."""
    append(health, key)
    key.head.unlink()
    append(health, key)
    fault = verify(health, key).fault
    assert fault
    assert "head file is missing" in fault.problem


def test_rotated(health: Database, key: AuditKeyFile) -> None:
    """The first entry after a rotation is preceded by one that names the new key; the old key is needed."""
    append(health, key)
    old = key.key.read_text()
    rotate_audit_key(key.key)
    append(health, key)
    append(health, key)
    assert [action for action, *_ in entries(health)][1:] == ["audit.rotate", "user.add", "user.add"]
    assert verify(health, key).fault is None
    assert key.key.stat().st_mode & 0o777 == 0o600
    key.key.write_text(old)
    with pytest.raises(InvalidError, match="put the old key file back"):
        append(health, key)


SECRET_FREE = "cannot be read: expected hexadecimal"


def test_unreadable_key(health: Database, key: AuditKeyFile) -> None:
    """An unreadable key file is named, its content is not."""
    key.key.write_text("hunter2")
    with pytest.raises(InvalidError, match=SECRET_FREE) as raised:
        append(health, key)
    assert "hunter2" not in str(raised.value)


def test_denials_are_folded(health: Database, key: AuditKeyFile) -> None:
    """A hundred denied logins of one address become two entries, the second with their number."""
    for _ in range(100):
        deny(health, key, "192.0.2.1")
    deny(health, key, "192.0.2.2")
    later = NOON + FOLD_INTERVAL
    with health.write() as connection:
        assert append_denials(connection, later - timedelta(milliseconds=1), key) == 0
        assert append_denials(connection, later, key) == 1
    logins = [row for row in entries(health) if row[0] == "login"]
    assert logins == [("login", "192.0.2.1", 1), ("login", "192.0.2.2", 1), ("login", "192.0.2.1", 99)]
    assert verify(health, key).fault is None


def test_many_addresses(health: Database, key: AuditKeyFile) -> None:
    """Denied logins of very many addresses are counted together from a limit on."""
    for number in range(MAX_DENIALS + 50):
        deny(health, key, f"192.0.2.{number}")
    assert len(entries(health)) == MAX_DENIALS
    with health.read() as connection:
        assert connection.execute(select(audit_denials.c.address, audit_denials.c["count"])).all() == [
            ("", 50)
        ]


def test_hostile_text(health: Database, key: AuditKeyFile) -> None:
    """Very long and invalid names are stored shortened, and a huge value by its size."""
    append(health, key, actor="x\ud800" * 1000, after={"a": "b" * 100_000})
    with health.read() as connection:
        row = connection.execute(
            select(audit_log.c.by, audit_log.c.after).order_by(audit_log.c.id.desc())
        ).first()
    assert row
    assert len(row.by) == 256
    assert row.after == '{"omitted":"100008 bytes (limit 65536)"}'
    assert verify(health, key).fault is None


APPENDER = """
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from shared.runtime.audit_key import audit_key
from shared.store.audit import AuditEntry, append_audit
from shared.store.database import Database
database, key = Database(sys.argv[1]), audit_key(Path(sys.argv[2]), {})
for number in range(40):
    with database.write() as connection:
        entry = AuditEntry(action="user.add", actor=sys.argv[3], target=str(number))
        append_audit(connection, entry, datetime.now(UTC), key)
"""


@pytest.mark.slow
def test_several_processes(health: Database, tmp_path: Path) -> None:
    """Processes that append at once, and make the key at once, keep one chain with its head at the end."""
    started = [
        subprocess.Popen([sys.executable, "-c", APPENDER, health.url, str(tmp_path), name]) for name in "abc"
    ]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    key = audit_key(tmp_path, {})
    report = verify(health, key)
    assert (report.fault, report.entries) == (None, 120)
    head = key.read_head()
    assert head
    assert head.id == 120


KILLED = """
import os
import shared.store.audit as audit
audit.AuditKeyFile.write_head = lambda *_: os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
def test_killed_before_the_head(health: Database, key: AuditKeyFile, tmp_path: Path) -> None:
    """A kill between the commit and the head raises no false alarm, and the next entry catches up."""
    append(health, key)
    command = [sys.executable, "-c", KILLED + APPENDER, health.url, str(tmp_path), "a"]
    assert subprocess.run(command, check=False).returncode == -9
    report = verify(health, key)
    assert (report.fault, report.entries) == (None, 2)
    head = key.read_head()
    assert head
    assert head.id == 1
    append(health, key)
    head = key.read_head()
    assert head
    assert head.id == 3
    assert verify(health, key).fault is None


def test_tampered_with_sqlite(health: Database, key: AuditKeyFile) -> None:
    """An entry that was changed through SQLite itself is named."""
    for _ in range(3):
        append(health, key)
    with closing(sqlite3.connect(health.url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("UPDATE audit_log SET by = 'bob' WHERE id = 3")
    assert verify(health, key).fault == (3, "was changed, moved or inserted: its MAC is wrong")
