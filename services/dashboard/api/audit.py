"""The audit log over HTTP: filtered and page by page, or all of it as JSON lines."""

from collections.abc import Iterator, Mapping
from typing import get_args

import msgspec
from flask import Blueprint, Response, request

from services.dashboard.api.parameters import MAX_LIMIT, QueryParameters
from services.dashboard.api.queries import DEFAULT_LIMIT
from services.dashboard.data_sources import DataSources
from shared.runtime.web.app import json_response
from shared.schema.units import MAX_INTEGER
from shared.store.audit import AuditFilter, Outcome, list_audit, list_audit_after, wire_entry

JSON_LINES = "application/x-ndjson"
EXPORT_BATCH = 500
_PARAMETERS = (*AuditFilter._fields, "limit", "format")


def add_audit(api: Blueprint, sources: DataSources) -> None:
    """Add the route `/audit`."""

    @api.get("/audit")
    def audit() -> Response:
        wanted, limit, is_export = audit_query(request.args)
        if is_export or JSON_LINES in request.headers.get("Accept", ""):
            return Response(export_lines(sources, wanted), content_type=JSON_LINES)
        with sources.health.read() as connection:
            found = list_audit(connection, wanted, limit + 1)
        page = found[:limit]
        more = page[-1].id if len(found) > limit else None
        return json_response({"entries": list(map(wire_entry, page)), "next": more})


def audit_query(arguments: Mapping[str, str]) -> tuple[AuditFilter, int, bool]:
    """Read which entries are wanted, how many, and whether as JSON lines; InvalidError names every fault."""
    read = QueryParameters(arguments, _PARAMETERS)
    outcome, form = read.text("outcome"), read.text("format")
    for name, value, allowed in (
        ("outcome", outcome, get_args(Outcome)),
        ("format", form, ("json", "jsonl")),
    ):
        if value is not None and value not in allowed:
            read.add_error(name, f"expected one of {', '.join(allowed)}, got {value!r}")
    wanted = AuditFilter(
        read.text("action"),
        read.text("actor"),
        read.text("target"),
        outcome,
        read.timestamp("since"),
        read.timestamp("until"),
        read.number("before", MAX_INTEGER),
    )
    limit = read.number("limit", MAX_LIMIT) or DEFAULT_LIMIT
    read.check()
    return wanted, limit, form == "jsonl"


def export_lines(sources: DataSources, wanted: AuditFilter) -> Iterator[bytes]:
    """Yield entries as JSON lines, oldest first, in short transactions: the export may be long and slow."""
    after = 0
    while True:
        with sources.health.read() as connection:
            rows = list_audit_after(connection, wanted, after, EXPORT_BATCH)
        if not rows:
            return
        after = rows[-1].id
        yield b"".join(msgspec.json.encode(wire_entry(row)) + b"\n" for row in rows)
