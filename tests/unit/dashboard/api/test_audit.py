"""The audit log over HTTP: filters, pages that stay stable, and JSON lines."""

import json
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from shared.store.audit import AuditEntry, AuditKeyFile, append_audit
from shared.store.database import Database
from tests.unit.dashboard.sample_data import NOON, get_json

AUDIT = "/api/monitoring/audit"


def append(health: Database, key: AuditKeyFile, number: int = 0, **fields: object) -> None:
    values = {
        "action": "user.add",
        "actor": "ann",
        "target": f"u{number}",
        "after": {"role": "viewer"},
    } | fields
    with health.write() as connection:
        entry = AuditEntry(**values)  # type: ignore[arg-type]
        append_audit(connection, entry, NOON + timedelta(minutes=number), key)


def ids(client: FlaskClient, query: str) -> list[int]:
    return [entry["id"] for entry in get_json(client, f"{AUDIT}?{query}")["entries"]]


def test_pages(client: FlaskClient, health: Database, audit_file: AuditKeyFile) -> None:
    """Pages go from new to old and stay stable while entries are appended."""
    for number in range(5):
        append(health, audit_file, number)
    page = get_json(client, f"{AUDIT}?limit=2")
    assert ([entry["id"] for entry in page["entries"]], page["next"]) == ([5, 4], 4)
    append(health, audit_file, 5)
    assert ids(client, "limit=2&before=4") == [3, 2]
    last = get_json(client, f"{AUDIT}?limit=2&before=2")
    assert ([entry["id"] for entry in last["entries"]], last["next"]) == ([1], None)
    entry = last["entries"][0]
    assert (entry["timestamp"], entry["actor"], entry["target"]) == ("2026-01-31T12:00:00Z", "ann", "u0")
    assert (entry["after"], entry["before"], entry["outcome"]) == ({"role": "viewer"}, None, "ok")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("action=user.", [2, 1]),
        ("action=user_", []),
        ("actor=bob", [2]),
        ("target=u2", [3]),
        ("outcome=denied", [3]),
        ("since=2026-01-31T12:01:00Z&until=2026-01-31T12:02:00Z", [2]),
    ],
)
def test_filters(
    client: FlaskClient, health: Database, audit_file: AuditKeyFile, query: str, found: list[int]
) -> None:
    """Each filter lets only its entries pass; an action is filtered by its beginning, without wildcards."""
    append(health, audit_file, 0)
    append(health, audit_file, 1, actor="bob")
    append(health, audit_file, 2, action="login", outcome="denied", address="192.0.2.1")
    assert ids(client, query) == found


@pytest.mark.parametrize("query", ["outcome=bad", "before=x", "since=now", "format=xml", "actin=x"])
def test_wrong(client: FlaskClient, query: str) -> None:
    """A wrong filter is refused by name."""
    answer = client.get(f"{AUDIT}?{query}")
    assert (answer.status_code, query.partition("=")[0] in answer.text) == (400, True)


def test_exported(client: FlaskClient, health: Database, audit_file: AuditKeyFile) -> None:
    """JSON lines, by header or parameter, have all entries, oldest first, however many."""
    for number in range(3):
        append(health, audit_file, number)
    by_header = client.get(f"{AUDIT}?actor=ann", headers={"Accept": "application/x-ndjson"})
    assert by_header.content_type == "application/x-ndjson"
    assert [json.loads(line)["id"] for line in by_header.text.splitlines()] == [1, 2, 3]
    assert client.get(f"{AUDIT}?format=jsonl").text == by_header.text


def test_csv(client: FlaskClient, health: Database, audit_file: AuditKeyFile) -> None:
    """CSV has all entries that match, oldest first; a name that is a formula is none in a spreadsheet."""
    append(health, audit_file, 0, actor="=1+1")
    append(health, audit_file, 1, before={"role": "admin"})
    append(health, audit_file, 2, action="token.create")
    answer = client.get(f"{AUDIT}?format=csv&action=user.")
    assert answer.content_type == "text/csv; charset=utf-8"
    header, first, second = answer.text.splitlines()
    assert header == "id,timestamp,action,actor,address,target,before,after,outcome,count,mac"
    assert first.startswith('1,2026-01-31T12:00:00Z,user.add,\'=1+1,,u0,,"{""role"":""viewer""}",ok,1,')
    assert second.startswith('2,2026-01-31T12:01:00Z,user.add,ann,,u1,"{""role"":""admin""}",')
    assert client.get(f"{AUDIT}?action=user.", headers={"Accept": "text/csv"}).text == answer.text
