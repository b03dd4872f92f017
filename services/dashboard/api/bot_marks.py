"""The API's marks on the chart of a bot: alerts, events, deposits and withdrawals, closed trades."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Literal

import msgspec
from flask import Blueprint, Response, request
from sqlalchemy import Connection

from services.dashboard.api.history import TO, bot_not_found
from services.dashboard.api.parameters import Moment, QueryParameters
from services.dashboard.data_sources import DataSources
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_response
from shared.runtime.web.openapi import Parameter, describe
from shared.schema.alerts import AlertStatus, Severity
from shared.schema.timestamps import EARLIEST, from_store
from shared.store import marks
from shared.store.marks import Mark, Span

DEFAULT_SPAN = timedelta(days=1)

MarkKind = Literal["alert", "event", "flow", "trade"]


class ChartMark(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """Something that happened to a bot."""

    kind: MarkKind
    timestamp: datetime
    """When an alert opened, a trade closed."""
    title: str
    """Of an alert its message, of an event its title, of a trade side and symbol, of a flow its type."""
    text: str = ""
    """Of an event its text; of an alert its rule."""
    id: str | None = None
    """Of an alert."""
    severity: Severity | None = None
    """Of an alert."""
    status: AlertStatus | None = None
    """Of an alert."""
    until: datetime | None = None
    """When an alert was resolved; null while it is open."""
    level: str | None = None
    """Of an event: `debug`, `info`, `warning`, `error`."""
    amount: float | None = None
    """Of a flow, positive into the account; of a trade its P&L, null if it is not known."""
    currency: str | None = None
    """Of a flow; null: the account's."""
    others: int = 0
    """How many others of its kind are left out, of the same hundredth of the range."""


class BotMarks(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """What happened to a bot in a range; at most one of each kind in each hundredth of it."""

    bot: str
    from_: datetime = msgspec.field(name="from")
    to: datetime
    marks: list[ChartMark]
    """Oldest first; alerts that were open at `from` are among them with their own time."""
    left_out: dict[MarkKind, int]
    """How many of each kind are left out; a shorter range has them."""


def add_bot_marks(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    """Add the route to the API."""

    @api.get("/bots/<path:bot>/marks")
    @describe(
        "Get the marks on the chart of a bot",
        tag="Bots",
        answers=BotMarks,
        query=(Parameter("from", Moment, "A day before `to` by default."), TO),
        errors=(HTTPStatus.NOT_FOUND,),
        description="Alerts, events, deposits and withdrawals, closed trades.",
    )
    def marks_of_bot(bot: str) -> Response:
        now = clock()
        span = marks_query(request.args, now)
        with sources.health.read() as connection:
            found = _alerts(connection, bot, span)
        with sources.performance.read() as connection:
            found += _others(connection, bot, span)
        if not found and (refusal := bot_not_found(sources, bot, now)):
            return refusal
        left_out: dict[MarkKind, int] = dict.fromkeys(("alert", "event", "flow", "trade"), 0)
        for mark in found:
            left_out[mark.kind] += mark.others
        found.sort(key=lambda mark: mark.timestamp)
        return json_response(BotMarks(bot=bot, from_=span[0], to=span[1], marks=found, left_out=left_out))


def marks_query(arguments: Mapping[str, str], now: datetime) -> Span:
    """Read of which range marks are wanted: by default the last day."""
    read = QueryParameters(arguments, ("from", "to"))
    until = read.timestamp("to") or now
    since = read.timestamp("from") or max(until - DEFAULT_SPAN, EARLIEST)
    if since > until:
        read.add_error("from", "expected a time before `to`")
    read.check()
    return since, until


def _alerts(connection: Connection, bot: str, span: Span) -> list[ChartMark]:
    before = [Mark(row, 0) for row in marks.alerts_open_at(connection, bot, span[0])]
    return [
        _mark(
            "alert", row, others,
            title=row["message"],
            text=msgspec.json.decode(row["details"] or "{}").get("rule", ""),
            id=row["id"],
            severity=row["severity"],
            status=row["status"],
            until=from_store(row["resolvedAt"]) if row["resolvedAt"] else None,
        )
        for row, others in [*before, *marks.alert_marks(connection, bot, span)]
    ]  # fmt: skip


def _others(connection: Connection, bot: str, span: Span) -> Iterator[ChartMark]:
    for row, others in marks.event_marks(connection, bot, span):
        level = row["level"] or "info"
        yield _mark("event", row, others, title=row["title"], text=row["text"] or "", level=level)
    for row, others in marks.flow_marks(connection, bot, span):
        title, currency = row["type"] or _direction(row["amount"]), row.get("currency")
        yield _mark("flow", row, others, title=title, amount=row["amount"], currency=currency)
    for row, others in marks.trade_marks(connection, bot, span):
        yield _mark("trade", row, others, title=f"{_SIDES[row['side']]} {row['symbol']}", amount=row["pnl"])


_SIDES = {"buy": "long", "sell": "short"}


def _direction(amount: float) -> str:
    return "deposit" if amount > 0 else "withdrawal"


def _mark(kind: MarkKind, row: Mapping[str, Any], others: int, **fields: Any) -> ChartMark:  # noqa: ANN401
    moment = from_store(row["closedAt" if kind == "trade" else "timestamp"])
    return ChartMark(kind=kind, timestamp=moment, others=others, **fields)
