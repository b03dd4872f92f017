"""The chain of the audit log: each entry's MAC covers its fields and the MAC of the entry before it. Pure.

    mac(n) = HMAC-SHA256(key, "entry" | mac(n-1) | canonical JSON of the entry's fields)

The MAC before the first entry is that of all rows that are older than the chain. An `audit.prune` entry seals
the range that was removed, an `audit.rotate` entry (still under the old key) names the key that follows. The
head, a file outside the database, has the number and MAC of the newest entry: entries missing at the end are
found by it. Without the key nobody can make a MAC or a head.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import asdict

PRUNE, ROTATE = "audit.prune", "audit.rotate"
"""Entries that the chain itself writes."""

WRONG_MAC = "was changed, moved or inserted: its MAC is wrong"


class AuditRow(msgspec.Struct, frozen=True):
    """A row of `audit_log`, as stored."""

    id: int
    timestamp: str
    action: str
    subject: str
    by: str | None
    address: str | None
    before: str | None
    after: str | None
    outcome: str
    count: int
    key_id: str | None
    mac: str | None
    """NULL: the row is older than the chain."""


class ChainHead(msgspec.Struct, frozen=True):
    """The newest entry, as noted outside the database."""

    id: int
    mac: str
    seal: str
    """MAC over both; hexadecimal like all others."""


class ChainFault(NamedTuple):
    """The first entry that is wrong, and how."""

    id: int
    problem: str


class ChainReport(NamedTuple):
    """The result of a verification."""

    entries: int
    """Entries whose MAC is right, up to the fault."""
    older: int
    """Rows that are older than the chain."""
    newest: AuditRow | None
    fault: ChainFault | None


def key_id(key: bytes) -> str:
    """Return the name of a key, which does not reveal it."""
    return _mac(key, b"key id", b"")[:16]


def entry_mac(key: bytes, previous: str, row: AuditRow) -> str:
    """Return the MAC of `row`, whose own field `mac` is ignored, after an entry with the MAC `previous`."""
    fields = asdict(row) | {"mac": None}
    return _mac(key, b"entry", previous.encode() + b"\n" + msgspec.json.encode(fields, order="sorted"))


def older_mac(key: bytes, rows: Sequence[AuditRow]) -> str:
    """Return the MAC before the first entry: of the rows that are older than the chain."""
    return _mac(key, b"older", msgspec.json.encode(rows, order="sorted"))


def make_head(key: bytes, newest: int, mac: str) -> ChainHead:
    """Return the sealed head."""
    return ChainHead(newest, mac, _mac(key, b"head", f"{newest} {mac}".encode()))


def is_sealed(keys: Iterable[bytes], head: ChainHead) -> bool:
    """Return whether one of `keys` made `head`."""
    return any(_is_equal(make_head(key, head.id, head.mac).seal, head.seal) for key in keys)


def details(row: AuditRow) -> dict[str, Any]:
    """Return `after` of an entry that the chain wrote."""
    try:
        found = msgspec.json.decode(row.after or "{}")
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


class ChainVerifier:
    """Walks the rows in the order of their IDs; `fault` is the first one found."""

    def __init__(self, keys: Sequence[bytes], prune: AuditRow | None = None) -> None:
        """`prune` is the newest `audit.prune` entry: the chain continues after the range that it sealed."""
        self._keys = {key_id(key): key for key in keys}
        sealed = details(prune) if prune else {}
        self._pruned: int = sealed.get("last", 0)
        self._mac: str = sealed.get("mac", "")
        self._key: str | None = sealed.get("keyId")
        self._older: list[AuditRow] = []
        self._last: AuditRow | None = None
        self._count = 0
        self._macs_at: dict[int, str] = {}

    def verify(self, rows: Iterable[AuditRow], head: ChainHead | None) -> ChainReport:
        """Return what is wrong first, if anything; `head` is None if there is none."""
        wanted = head.id if head else 0
        for row in rows:
            if fault := self._fault_of(row):
                return ChainReport(self._count, len(self._older), self._last, fault)
            if row.id == wanted:
                self._macs_at[wanted] = row.mac or ""
        return ChainReport(self._count, len(self._older), self._last, self._fault_of_head(head))

    def _fault_of(self, row: AuditRow) -> ChainFault | None:
        if row.mac is None and self._last is None and not self._pruned:
            self._older.append(row)
            return None
        return self._fault_of_order(row) or self._fault_of_mac(row)

    def _fault_of_order(self, row: AuditRow) -> ChainFault | None:
        if row.mac is None:
            return ChainFault(row.id, "was inserted: it has no MAC")
        if self._last is None and not self._pruned:
            return None
        expected = (self._last.id if self._last else self._pruned) + 1
        if row.id > expected:
            missing = f"{expected}" if row.id == expected + 1 else f"{expected} to {row.id - 1}"
            return ChainFault(expected, f"is missing (removed: {missing})")
        if row.id < expected:
            return ChainFault(row.id, "was inserted into a range that was pruned")
        return None

    def _fault_of_mac(self, row: AuditRow) -> ChainFault | None:
        key = self._keys.get(row.key_id or "")
        if key is None:
            return ChainFault(row.id, f"was made with a key that is not in the key file ({row.key_id})")
        if self._key is not None and row.key_id != self._key:
            return ChainFault(row.id, f"was made with the key {row.key_id}, expected {self._key}")
        is_first = self._last is None and not self._pruned
        previous = older_mac(key, self._older) if is_first else self._mac
        if not _is_equal(entry_mac(key, previous, row), row.mac or ""):
            return self._wrong_start(row) if is_first else ChainFault(row.id, WRONG_MAC)
        self._mac, self._last, self._count = row.mac or "", row, self._count + 1
        self._key = details(row).get("keyId") if row.action == ROTATE else row.key_id
        return None

    def _wrong_start(self, row: AuditRow) -> ChainFault:
        if self._older:
            return ChainFault(
                self._older[0].id, f"or another up to {row.id} was changed, removed or inserted"
            )
        return ChainFault(row.id, "was changed or inserted, or those before it were removed")

    def _fault_of_head(self, head: ChainHead | None) -> ChainFault | None:
        newest = self._last.id if self._last else self._pruned
        if head is None:
            return ChainFault(newest + 1, "may be missing: the head file is missing or unreadable")
        if not is_sealed(self._keys.values(), head):
            return ChainFault(newest + 1, "may be missing: the head file was changed")
        if head.id > newest:
            removed = f"{newest + 1}" if head.id == newest + 1 else f"{newest + 1} to {head.id}"
            return ChainFault(newest + 1, f"is missing (removed at the end: {removed})")
        if head.id > self._pruned and self._macs_at.get(head.id) != head.mac:
            return ChainFault(head.id, "replaces another one that was removed at the end")
        return None


def _is_equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def _mac(key: bytes, purpose: bytes, data: bytes) -> str:
    return hmac.new(key, purpose + b"\0" + data, hashlib.sha256).hexdigest()
