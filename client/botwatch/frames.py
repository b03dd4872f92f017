"""Records from a pandas DataFrame, such as a backtest's trades or equity curve; pandas is not imported."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from botwatch import records
from botwatch.records import Record

TIME_NAMES = ("timestamp", "time", "date", "datetime")
OTHER_NAMES = {
    "amount": {"quantity"}, "qty": {"quantity"}, "size": {"quantity"}, "pair": {"symbol"},
    "open_rate": {"entryPrice"}, "close_rate": {"exitPrice"}, "profit_abs": {"pnl"}, "value": {"equity"},
}  # fmt: skip
"""Names of other tools, and the field of a record that they mean."""


def records_from_frame(bot: str, frame: Any, kind: str, **fields: object) -> Iterator[Record]:  # noqa: ANN401
    """Yield a record of `kind` for each row.

    Columns are named as fields, in camel case or in snake case; unknown columns are left out, NaN and NaT
    mean that a value is missing. The time is in a column `timestamp`, `time` or `date`, else in the index;
    one without a zone is UTC. `fields` are those that every row has, such as `symbol`. The id depends on the
    row alone: the same frame again changes nothing. ValueError for a kind that does not exist.
    """
    known = records.field_names(kind)
    index = frame.index
    for place, row in zip(index, frame.to_dict("records"), strict=True):
        values = dict(_values(row, known))
        at = next((_utc(row[name]) for name in TIME_NAMES if name in row), None) or _utc(place)
        if at is None:
            raise ValueError(f"row {place}: expected a column {TIME_NAMES[0]} or an index of times")
        made = records.record(kind, bot, timestamp=at, **cast("dict[str, Any]", fields | values))
        made["id"] = _id(made)
        yield made


def _values(row: Mapping[str, Any], known: frozenset[str]) -> Iterator[tuple[str, object]]:
    for column, value in row.items():
        if value is None or value != value:  # noqa: PLR0124 - NaN and NaT differ from themselves
            continue
        name = records.to_camel_case(column)
        names = {name} & known or OTHER_NAMES.get(column, set()) & known
        for one in names:
            yield one, records.format_wire_time(at) if (at := _utc(value)) else value


def _utc(value: object) -> datetime | None:
    """Return a time, pandas's or the standard library's; None for other values."""
    if not isinstance(value, datetime) or value != value:  # noqa: PLR0124 - NaT
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _id(made: Record) -> str:
    text = repr(sorted((name, str(value)) for name, value in made.items() if name != "id"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
