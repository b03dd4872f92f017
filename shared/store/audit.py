"""The audit log: who did what, from where, with what result; appended in the transaction of the change."""

import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import structlog
from msgspec.structs import asdict, replace
from sqlalchemy import ColumnElement, Connection, Row, RowMapping, delete, desc, func, select
from sqlalchemy.dialects.sqlite import insert

from shared.schema.faults import Fault, InvalidError
from shared.schema.timestamps import from_store, to_store
from shared.schema.units import MAX_INTEGER
from shared.store.audit_chain import (
    PRUNE,
    ROTATE,
    AuditRow,
    ChainHead,
    ChainReport,
    ChainVerifier,
    details,
    entry_mac,
    is_sealed,
    key_id,
    make_head,
    older_mac,
)
from shared.store.database import call_after_commit
from shared.store.tables import audit_denials, audit_documents, audit_log

log = structlog.get_logger()

Outcome = Literal["ok", "denied", "failed"]
SYSTEM = "system"
"""The actor where Botwatch itself acts."""
MAX_NAME = 256
"""Longest actor, address or target, characters; a denied request chooses them."""
MAX_DETAIL_BYTES = 65_536
"""Largest `before` or `after`."""
HEAD_MODE = 0o640
FOLD_INTERVAL = timedelta(minutes=1)
"""Denied requests of one address are one entry at first, and one with their number per interval."""
MAX_DENIALS = 100
"""Denied entries of all addresses per interval; the others are counted together."""
_COLUMNS = [audit_log.c["keyId" if name == "key_id" else name] for name in AuditRow.__struct_fields__]


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An administrative action. `before` and `after` hold no secrets: the caller leaves them out."""

    action: str
    """`object.verb`, such as `user.add` or `alert.acknowledge`."""
    actor: str
    """Who: the name of an identity, `os:NAME` of a local command, `system` for Botwatch itself."""
    address: str | None = None
    """From where: the client's IP address; None on this machine."""
    target: str
    """On what: a name or an ID."""
    before: Any = None
    after: Any = None
    outcome: Outcome = "ok"


class AuditKeyFile(NamedTuple):
    """Where the key and the head are; the key is read for each use, so that a rotated one holds at once.

    The key file has one key per line, hexadecimal, the current one last; older ones verify older entries.
    """

    key: Path
    head: Path

    def keys(self) -> list[bytes]:
        """Return the keys, the current one last. InvalidError names the file, never its content."""
        try:
            found = [bytes.fromhex(line) for line in self.key.read_text(encoding="ascii").split()]
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "expected hexadecimal keys, one a line"
            raise InvalidError([Fault(str(self.key), f"audit key cannot be read: {reason}")]) from None
        if not found:
            raise InvalidError([Fault(str(self.key), "audit key is missing: the file is empty")])
        return found

    @contextmanager
    def only_writer(self) -> Iterator[None]:
        """Keep other processes from advancing the head meanwhile. Raises OSError."""
        folder = os.open(self.head.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)  # as short as a write; a process that ends lets go
            yield
        finally:
            os.close(folder)

    def read_head(self) -> ChainHead | None:
        """Return the head; None if it is missing or unreadable."""
        try:
            return msgspec.json.decode(self.head.read_bytes(), type=ChainHead)
        except (OSError, msgspec.DecodeError):
            return None

    def write_head(self, head: ChainHead) -> None:
        """Write the head atomically. Raises OSError."""
        handle, written = tempfile.mkstemp(dir=self.head.parent, prefix=".audit-")
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(handle, HEAD_MODE)
                file.write(msgspec.json.encode(head))
                file.flush()
                os.fsync(handle)
            Path(written).replace(self.head)
        except OSError:
            Path(written).unlink(missing_ok=True)
            raise


def append_audit(connection: Connection, entry: AuditEntry, at: datetime, key: AuditKeyFile) -> None:
    """Append an entry, inside a transaction of `Database.write`; the head follows after its commit.

    Denied requests that repeat are counted instead (`append_denials`). InvalidError: the key is unreadable.
    """
    if entry.outcome == "denied" and _count_denial(connection, entry, at):
        return
    _Appender(connection, key, at).append(entry)


def append_denials(connection: Connection, at: datetime, key: AuditKeyFile) -> int:
    """Append an entry for each address whose counted requests ended an interval ago; return how many."""
    ended = audit_denials.c.lastAt <= to_store(at - FOLD_INTERVAL)
    rows = connection.execute(select(audit_denials).where(ended)).mappings().all()
    if not rows:
        return 0
    appender = _Appender(connection, key, at)
    for row in rows:
        appender.append(_denials_entry(row), row["count"])
    connection.execute(delete(audit_denials).where(ended))
    return len(rows)


def prune_audit(connection: Connection, before: datetime, at: datetime, key: AuditKeyFile) -> int:
    """Remove the entries older than `before`, and append an entry that seals their range; return how many.

    The newest entry that the head names stays, and so do the rows older than the chain while one of the
    entries after them must stay.
    """
    head = key.read_head()
    newer = select(func.min(audit_log.c.id)).where(audit_log.c.timestamp >= to_store(before))
    end = min(connection.scalar(newer) or MAX_INTEGER, head.id if head else 0)
    last = newest_entry(connection, end)
    if last is None or last.mac is None:
        return 0
    removed = select(func.count(), func.min(audit_log.c.id)).where(audit_log.c.id <= last.id)
    count, first = connection.execute(removed).one()
    sealed = {"first": first, "last": last.id, "entries": count, "until": last.timestamp, "mac": last.mac}
    following = names_key(last) if last.action == ROTATE else last.key_id
    _Appender(connection, key, at).append(_own_entry(PRUNE, sealed | {"keyId": following}))
    connection.execute(delete(audit_log).where(audit_log.c.id <= last.id))
    return int(count)


class _Appender:
    """Appends entries within one write transaction."""

    def __init__(self, connection: Connection, key: AuditKeyFile, at: datetime) -> None:
        self._connection = connection
        self._file = key
        self._keys = key.keys()
        self._at = to_store(at)
        self._last = newest_entry(connection)
        self._is_head_right = self._check_head()

    def append(self, entry: AuditEntry, count: int = 1) -> None:
        """Append `entry`, which stands for `count` requests."""
        self._rotate()
        self._insert(entry, count, self._keys[-1])

    def _previous_mac(self, key: bytes) -> str:
        if self._last and self._last.mac:
            return self._last.mac
        older = self._connection.execute(select(*_COLUMNS).order_by(audit_log.c.id))
        return older_mac(key, [_to_row(row) for row in older])

    def _rotate(self) -> None:
        """Chain the current key to the one before it, if it is new."""
        current = key_id(self._keys[-1])
        last = self._last
        if last is None or last.key_id is None:
            return
        expected = names_key(last) if last.action == ROTATE else last.key_id
        if expected == current:
            return
        old = next((key for key in self._keys if key_id(key) == expected), None)
        if old is None:
            text = f"audit key {expected} of the newest entry is missing: put the old key file back"
            raise InvalidError([Fault(str(self._file.key), text)])
        self._insert(_own_entry(ROTATE, {"keyId": current}), 1, old)

    def _insert(self, entry: AuditEntry, count: int, key: bytes) -> None:
        row = AuditRow(
            id=self._last.id + 1 if self._last else 1,
            timestamp=self._at,
            action=entry.action,
            subject=_clean(entry.target),
            by=_clean(entry.actor),
            address=_clean(entry.address) if entry.address else None,
            before=_to_json(entry.before),
            after=_to_json(entry.after),
            outcome=entry.outcome,
            count=count,
            key_id=key_id(key),
            mac=None,
        )
        row = replace(row, mac=entry_mac(key, self._previous_mac(key), row))
        values = asdict(row)
        values["keyId"] = values.pop("key_id")
        self._connection.execute(insert(audit_log).values(values))
        if self._last is None or self._is_head_right:
            call_after_commit(self._connection, lambda: self._advance_head(key, row))
        self._last = row

    def _check_head(self) -> bool:
        """Return whether the head agrees with the table; otherwise it stays, as evidence."""
        head = self._file.read_head()
        if head is None or not is_sealed(self._keys, head):
            problem = "is missing or was changed"
        elif head.id == 0 or entry_mac_at(self._connection, head.id) == head.mac:
            return True
        else:
            problem = f"names entry {head.id}, which is missing or another one"
        log.error(
            "audit log: the head does not match; run `botwatch audit verify`",
            file=str(self._file.head),
            problem=problem,
        )
        return False

    def _advance_head(self, key: bytes, row: AuditRow) -> None:
        try:
            with self._file.only_writer():
                current = self._file.read_head()
                if current is not None and current.id < row.id:  # else another process was first
                    self._file.write_head(make_head(key, row.id, row.mac or ""))
        except OSError as error:
            # The entry is committed and the next one advances the head: nothing is wrong with the chain.
            log.error("cannot write the head of the audit log", file=str(self._file.head), error=str(error))


class AuditFilter(NamedTuple):
    """Which entries are wanted; None lets any pass."""

    action: str | None = None
    """The beginning of an action: `user` or `user.` for all actions on users."""
    actor: str | None = None
    target: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    """Only entries with smaller IDs: the cursor towards older ones."""


def list_audit(connection: Connection, wanted: AuditFilter, limit: int) -> list[AuditRow]:
    """Return the newest entries that `wanted` lets pass, newest first."""
    statement = select(*_COLUMNS).where(*_conditions(wanted)).order_by(desc(audit_log.c.id)).limit(limit)
    return [_to_row(row) for row in connection.execute(statement)]


def list_audit_after(connection: Connection, wanted: AuditFilter, after: int, limit: int) -> list[AuditRow]:
    """Return the oldest entries after the ID `after` that `wanted` lets pass, oldest first."""
    statement = select(*_COLUMNS).where(*_conditions(wanted), audit_log.c.id > after)
    return [_to_row(row) for row in connection.execute(statement.order_by(audit_log.c.id).limit(limit))]


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    column = audit_log.c
    found = [
        column[name] == value
        for name, value in (("by", wanted.actor), ("subject", wanted.target), ("outcome", wanted.outcome))
        if value is not None
    ]
    if wanted.action is not None:
        found.append(column.action.startswith(wanted.action, autoescape=True))
    if wanted.since is not None:
        found.append(column.timestamp >= to_store(wanted.since))
    if wanted.until is not None:
        found.append(column.timestamp < to_store(wanted.until))
    if wanted.before is not None:
        found.append(column.id < wanted.before)
    return found


def wire_entry(row: AuditRow) -> dict[str, Any]:
    """Return an entry as the API, the command and the receivers show it."""
    return {
        "id": row.id,
        "timestamp": from_store(row.timestamp),
        "action": row.action,
        "actor": row.by,
        "address": row.address,
        "target": row.subject,
        "before": row.before and msgspec.Raw(row.before.encode()),
        "after": row.after and msgspec.Raw(row.after.encode()),
        "outcome": row.outcome,
        "count": row.count,
        "mac": row.mac,
    }


def read_audited_documents(connection: Connection) -> dict[str, Any]:
    """Return the config documents as they were last loaded, without secrets, by name."""
    rows = connection.execute(select(audit_documents.c.name, audit_documents.c.document))
    return {name: msgspec.json.decode(document) for name, document in rows}


def write_audited_documents(connection: Connection, documents: Mapping[str, Any]) -> None:
    """Replace what `read_audited_documents` returns."""
    connection.execute(delete(audit_documents))
    for name, document in documents.items():
        row = {"name": name, "document": msgspec.json.encode(document).decode()}
        connection.execute(insert(audit_documents).values(row))


def newest_entry(connection: Connection, before: int = MAX_INTEGER) -> AuditRow | None:
    """Return the newest entry whose ID is less than `before`; None if there is none."""
    statement = select(*_COLUMNS).where(audit_log.c.id < before).order_by(desc(audit_log.c.id)).limit(1)
    row = connection.execute(statement).one_or_none()
    return _to_row(row) if row else None


def entry_mac_at(connection: Connection, entry: int) -> str | None:
    """Return the MAC of an entry; None if it does not exist."""
    return connection.scalar(select(audit_log.c.mac).where(audit_log.c.id == entry))


def verify_audit(connection: Connection, key: AuditKeyFile) -> ChainReport:
    """Verify the whole chain; name the first entry that is wrong. InvalidError: the key is unreadable."""
    head = key.read_head()  # before the rows: it may fall behind them, never the other way round
    rows = connection.execute(select(*_COLUMNS).order_by(audit_log.c.id))
    pruned = select(*_COLUMNS).where(audit_log.c.action == PRUNE).order_by(desc(audit_log.c.id)).limit(1)
    prune = connection.execute(pruned).one_or_none()
    return ChainVerifier(key.keys(), _to_row(prune) if prune else None).verify(map(_to_row, rows), head)


def names_key(row: AuditRow) -> str | None:
    """Return the key ID that an `audit.rotate` entry names."""
    return details(row).get("keyId")


def _own_entry(action: str, after: dict[str, Any]) -> AuditEntry:
    return AuditEntry(action=action, actor=SYSTEM, target="audit log", after=after)


def _to_row(row: Row[Any]) -> AuditRow:
    return AuditRow(*tuple(row))


def _clean(text: str) -> str:
    """Shorten `text`, and replace what is not valid Unicode."""
    return text[:MAX_NAME].encode(errors="replace").decode()


def _to_json(value: object) -> str | None:
    if value is None:
        return None
    data = msgspec.json.encode(value, order="sorted")
    if len(data) > MAX_DETAIL_BYTES:
        data = msgspec.json.encode({"omitted": f"{len(data)} bytes (limit {MAX_DETAIL_BYTES})"})
    return data.decode()


def _count_denial(connection: Connection, entry: AuditEntry, at: datetime) -> bool:
    """Count a denied request that is one too many for an entry of its own; return whether it is one."""
    recent = select(func.count()).where(
        audit_log.c.timestamp > to_store(at - FOLD_INTERVAL), audit_log.c.outcome == "denied"
    )
    address, action = _clean(entry.address or ""), entry.action
    same = recent.where(audit_log.c.action == action, func.coalesce(audit_log.c.address, "") == address)
    if not connection.scalar(same):
        if connection.execute(recent).scalar_one() < MAX_DENIALS:
            return False
        address = ""
    who = {"actor": _clean(entry.actor), "target": _clean(entry.target)}
    times = {"firstAt": to_store(at), "lastAt": to_store(at)}
    statement = insert(audit_denials).values(who | times | {"address": address, "action": action, "count": 1})
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["address", "action"],
            set_=who | {"count": audit_denials.c["count"] + 1, "lastAt": to_store(at)},
        )
    )
    return True


def _denials_entry(row: RowMapping) -> AuditEntry:
    return AuditEntry(
        action=row["action"],
        actor=row["actor"],
        address=row["address"] or None,
        target=row["target"],
        after={"from": row["firstAt"], "until": row["lastAt"]},
        outcome="denied",
    )
