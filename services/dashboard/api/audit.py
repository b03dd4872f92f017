"""The audit log over HTTP: filtered and page by page, or all of it as JSON lines or CSV."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, get_args

import msgspec
from flask import Blueprint, Response, request
from msgspec import Meta

from services.dashboard.api.parameters import MAX_LIMIT, Limit, Moment, Name, QueryParameters
from services.dashboard.api.queries import DEFAULT_LIMIT
from services.dashboard.data_sources import DataSources
from shared.runtime.web.app import json_response
from shared.runtime.web.csv import CSV, csv_response, is_csv_requested
from shared.runtime.web.openapi import Parameter, describe
from shared.schema.units import MAX_INTEGER
from shared.store.audit import AuditFilter, Outcome, list_audit, list_audit_after, wire_entry
from shared.store.audit_chain import AuditRow

JSON_LINES = "application/x-ndjson"
EXPORT_BATCH = 500
Form = Literal["json", "jsonl", "csv"]
_PARAMETERS = (*AuditFilter._fields, "limit", "format")


class AuditLogEntry(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """An administrative action."""

    id: int
    timestamp: datetime
    action: str
    """`object.verb`, such as `user.add`."""
    actor: str
    """Who: the name of an identity, `os:NAME` of a local command, `system` for Botwatch itself."""
    address: str | None
    """From where: the client's IP address; None on this machine."""
    target: str
    """On what: a name or an ID."""
    before: Any
    """What it was before, without secrets; null if that does not apply."""
    after: Any
    outcome: Outcome
    count: int
    """How many requests it stands for: denied ones that repeat are counted."""
    mac: str | None
    """Seals the entry and those before it; null in entries of earlier releases."""


_COLUMNS = [field.encode_name for field in msgspec.structs.fields(AuditLogEntry)]


class AuditPage(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A page of the audit log, newest first."""

    entries: list[AuditLogEntry]
    next: int | None
    """`before` of the next page; None after the last one."""


def add_audit(api: Blueprint, sources: DataSources) -> None:
    """Add the route `/audit`."""

    @api.get("/audit")
    @describe(
        "List the audit log",
        tag="Administration",
        answers=AuditPage,
        query=(
            Parameter("action", Name, "The beginning of the action: `user` or `user.` for all on users."),
            Parameter("actor", Name, "Only actions of this identity."),
            Parameter("target", Name, "Only actions on this name or ID."),
            Parameter("outcome", Outcome, "Only actions with this outcome."),
            Parameter("since", Moment, "Only entries of this time or later."),
            Parameter("until", Moment, "Only entries before this time."),
            Parameter(
                "before",
                Annotated[int, Meta(ge=1, le=MAX_INTEGER)],
                "Only entries with smaller IDs: the cursor towards older ones.",
            ),
            Parameter("limit", Limit, f"Default: {DEFAULT_LIMIT}."),
            Parameter("format", Form, "`jsonl` and `csv` have all entries, the oldest first."),
        ),
        media_types=(JSON_LINES, CSV),
        description="`Accept: application/x-ndjson` or `text/csv` is the same as `format`.",
    )
    def audit() -> Response:
        wanted, limit, form = audit_query(request.args)
        if form == "jsonl" or (form is None and JSON_LINES in request.headers.get("Accept", "")):
            return Response(export_lines(sources, wanted), content_type=JSON_LINES)
        if is_csv_requested(form):
            return csv_response(map(_cells, _all_entries(sources, wanted)), _COLUMNS, "audit")
        with sources.health.read() as connection:
            found = list_audit(connection, wanted, limit + 1)
        page = found[:limit]
        more = page[-1].id if len(found) > limit else None
        return json_response({"entries": list(map(wire_entry, page)), "next": more})


def audit_query(arguments: Mapping[str, str]) -> tuple[AuditFilter, int, Form | None]:
    """Read which entries are wanted, how many, and in which form; InvalidError names every fault."""
    read = QueryParameters(arguments, _PARAMETERS)
    wanted = AuditFilter(
        read.text("action"),
        read.text("actor"),
        read.text("target"),
        read.one_of("outcome", get_args(Outcome)),
        read.timestamp("since"),
        read.timestamp("until"),
        read.number("before", MAX_INTEGER),
    )
    limit, form = read.number("limit", MAX_LIMIT) or DEFAULT_LIMIT, read.one_of("format", get_args(Form))
    read.check()
    return wanted, limit, form


def export_lines(sources: DataSources, wanted: AuditFilter) -> Iterator[bytes]:
    """Yield entries as JSON lines, oldest first."""
    for row in _all_entries(sources, wanted):
        yield msgspec.json.encode(wire_entry(row)) + b"\n"


def _cells(row: AuditRow) -> dict[str, object]:
    """Return an entry for a table: `before` and `after` are the JSON as stored."""
    return {**wire_entry(row), "before": row.before, "after": row.after}


def _all_entries(sources: DataSources, wanted: AuditFilter) -> Iterator[AuditRow]:
    """Yield entries, oldest first, read in short transactions: the export may be long and slow."""
    after = 0
    while True:
        with sources.health.read() as connection:
            rows = list_audit_after(connection, wanted, after, EXPORT_BATCH)
        yield from rows
        if not rows:
            return
        after = rows[-1].id
