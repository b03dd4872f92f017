"""The result of a replay, as text and as JSON."""

import textwrap
from collections.abc import Iterator
from typing import Any

import msgspec

from services.recorder.replay.fold import Replayed
from shared.analytics.open_positions import OpenPosition, open_positions
from shared.analytics.trade import Trade
from shared.schema.metric_definitions import FAMILIES, MetricDefinition, MetricFamilyDefinition
from shared.schema.records import Performance, encode_record
from shared.schema.terminal_escaping import escape_controls
from shared.schema.timestamps import from_epoch_ms, to_store, to_wire
from shared.schema.undefined_reasons import describe_undefined, describe_warning
from shared.schema.units import BASIS_POINTS, MILLISECONDS, MONEY, PERCENT, SECONDS, metric_fields

LABEL, VALUE = 22, 24
"""Width of these columns."""
DIGITS = 12
"""Significant digits: enough to compare with a spreadsheet."""
_FIELDS = {figure.wire: figure for figure in metric_fields(Performance)}
_SUFFIXES = {PERCENT: " %", SECONDS: " s", MILLISECONDS: " ms", BASIS_POINTS: " bps"}
_KINDS = {
    "Execution": "fills", "OrderUpdate": "order updates", "EquityPoint": "equity points",
    "Quote": "market prices", "PositionReport": "position reports", "TradeReport": "reported trades",
    "FundingPaid": "funding payments", "Flow": "flows", "ReportedMetrics": "reported performances",
}  # fmt: skip


def json_report(replayed: Replayed, record: Performance, *, with_trades: bool) -> bytes:
    """Return the result as one JSON object; `performance` is the computed record on the wire."""
    found: dict[str, Any] = {
        "bot": record.bot,
        "from": to_wire(from_epoch_ms(replayed.first_at)),
        "to": to_wire(record.at),
        "files": [file._asdict() for file in replayed.files],
        "events": {_KINDS[kind]: number for kind, number in replayed.events.items()},
        "warnings": [{"code": code, "text": describe_warning(code)} for code in record.warnings],
        "performance": msgspec.json.decode(encode_record(record)),
        "positions": [
            _position_row(one)
            for one in open_positions(replayed.account.state, replayed.account.mark_rates())
        ],
    }
    if with_trades:
        found["trades"] = [_trade_row(trade) for trade in replayed.trades]
    return msgspec.json.encode(found)


def text_report(replayed: Replayed, record: Performance, *, with_trades: bool, width: int) -> str:
    """Return the result for people, at most `width` columns wide."""
    lines = [*_head(replayed, record, width)]
    for family in FAMILIES:
        lines += ["", family.title, *_family(family, record, width)]
    shown = [escape_controls(line) for line in lines]
    held = [
        _position_row(one) for one in open_positions(replayed.account.state, replayed.account.mark_rates())
    ]
    if held:
        shown += ["", "Open positions", *_table(held)]
    if with_trades:
        shown += ["", "Closed trades", *_table([_trade_row(trade) for trade in replayed.trades])]
    return "".join(f"{line}\n" for line in shown)


def _head(replayed: Replayed, record: Performance, width: int) -> Iterator[str]:
    counted = ", ".join(f"{number:,} {_KINDS[kind]}" for kind, number in replayed.events.items())
    yield f"{record.bot}: {counted}"
    yield f"{to_store(from_epoch_ms(replayed.first_at))} to {to_store(record.at)} UTC"
    yield ", ".join(
        f"{label}: {value or 'unknown'}"
        for label, value in (
            ("currency", record.currency),
            ("trade matching", record.trade_matching),
            ("benchmark", record.benchmark),
        )
    )
    for file in replayed.files:
        yield f"{file.file}: {file.format}, {file.rows:,} rows"
        for note in file.notes:
            yield from _wrapped(note, width, 2)
    for code in record.warnings:
        yield from _wrapped(f"Warning: {describe_warning(code)}", width, 0)


def _family(family: MetricFamilyDefinition, record: Performance, width: int) -> Iterator[str]:
    for metric in family.figures:
        field = _FIELDS[metric.wire]
        value = getattr(record, field.attribute)
        doubt = record.low_confidence.get(metric.wire)
        yield f"  {metric.label:<{LABEL}} {_value(metric, value, record):<{VALUE}}".rstrip()
        yield from _wrapped(metric.text, width, 6)
        if value is None:
            why = record.undefined.get(metric.wire)
            yield from _wrapped(f"Undefined: {describe_undefined(why) if why else 'not computed'}", width, 6)
        elif doubt is not None and family.doubt:
            yield from _wrapped(family.doubt.replace("{n}", str(doubt)), width, 6)


def _value(metric: MetricDefinition, value: float | None, record: Performance) -> str:
    if value is None:
        return "-"
    unit = _FIELDS[metric.wire].unit
    suffix = f" {record.currency}" if unit is MONEY and record.currency else _SUFFIXES.get(unit, "")
    return f"{value:.{DIGITS}g}{suffix}"


def _wrapped(text: str, width: int, indent: int) -> list[str]:
    margin = " " * indent
    return textwrap.wrap(text, width, initial_indent=margin, subsequent_indent=margin)


def _trade_row(trade: Trade) -> dict[str, Any]:
    """Return a trade with its times as on the wire."""
    row: dict[str, Any] = {
        field.name: getattr(trade, field.name) for field in msgspec.structs.fields(type(trade))
    }
    for name in ("opened_at", "closed_at"):
        row[name] = to_wire(from_epoch_ms(row[name]))
    return {_camel(name): value for name, value in row.items()}


def _position_row(position: OpenPosition) -> dict[str, Any]:
    """Return an open position with its times as on the wire."""
    row = position._asdict()
    for name in ("opened_at", "mark_at", "reported_at"):
        row[name] = None if row[name] is None else to_wire(from_epoch_ms(row[name]))
    return {_camel(name): value for name, value in row.items()}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join("PnL" if part == "pnl" else part.capitalize() for part in rest)


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Return rows as tab-separated values, for a spreadsheet."""
    if rows:
        yield "\t".join(rows[0])
    for row in rows:
        yield "\t".join("" if value is None else escape_controls(str(value)) for value in row.values())
