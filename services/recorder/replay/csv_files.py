"""CSV files: fills, closed trades or equity, and the exports of Binance, Kraken and MetaTrader 5. Pure.

Columns are found by their names, in any case and order; a name that could mean two things is refused.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.recorder.replay.rows import (
    FoundEvent,
    ReadReport,
    ValueFault,
    parse_number,
    parse_time,
    quote,
)
from shared.analytics.events import (
    EquityPoint,
    Execution,
    Flow,
    FundingPaid,
    TradeReport,
    TradingEvent,
    is_plausible,
)
from shared.analytics.symbols import pair_of
from shared.schema.faults import Fault, InvalidError
from shared.schema.records import PositionSide, Side

TITLE_ROWS = 50
"""Rows before the header that a report may have."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "time": ("time", "timestamp", "date", "datetime", "date(utc)", "time(utc)", "executed at"),
    "symbol": ("symbol", "pair", "market", "instrument", "ticker"),
    "side": ("side", "action", "buy/sell", "direction"),
    "quantity": ("quantity", "qty", "amount", "size", "volume", "vol"),
    "price": ("price", "average price", "avg price", "fill price", "exec price"),
    "fee": ("fee", "fees", "commission"),
    "fee currency": (
        *("fee currency", "fee coin", "fee asset", "commission asset", "commission currency"),
        *("feecurrency", "feecoin", "feeasset", "commissionasset"),
    ),
    "order id": ("order id", "orderid", "order", "order no", "ordertxid"),
    "fill id": ("fill id", "fillid", "trade id", "tradeid", "execution id", "exec id", "txid", "id"),
    "liquidity": ("liquidity", "taker or maker", "takerormaker", "maker/taker", "taker/maker"),
    "opened": ("opened at", "openedat", "open time", "open date", "entry time", "entry date", "opened"),
    "closed": ("closed at", "closedat", "close time", "close date", "exit time", "exit date", "closed"),
    "entry price": ("entry price", "entryprice", "open price", "open rate", "entry"),
    "exit price": ("exit price", "exitprice", "close price", "close rate", "exit"),
    "pnl": ("pnl", "profit", "net profit", "net pnl", "realized pnl", "realised pnl", "p&l", "profit abs"),
    "funding": ("funding", "swap", "funding fee", "funding fees", "interest"),
    "equity": ("equity", "portfolio value", "portfoliovalue", "account value", "net asset value", "nav"),
    "net flow": ("net flow", "netflow", "net flows", "deposit", "flow"),
    "currency": ("currency", "account currency"),
    "unrealized pnl": ("unrealized pnl", "unrealised pnl", "unrealizedpnl", "floating pnl"),
}
"""Names of columns by what they mean; case, `_`, `-` and surrounding spaces do not matter."""

_BUY = frozenset(("buy", "b", "bought", "bid"))
_SELL = frozenset(("sell", "s", "sold", "ask"))
_LONG, _SHORT = _BUY | {"long"}, _SELL | {"short"}
_UNIT = re.compile(r"(?P<number>[+-]?[\d.\s]+(?:[eE][+-]?\d+)?)(?P<currency>[A-Z0-9]*[A-Z][A-Z0-9]*)?")


class Row:
    """One row: the values by meaning, and where each is."""

    def __init__(self, values: Sequence[str], layout: "Layout", zone: ZoneInfo, report: ReadReport) -> None:
        self.values, self.layout, self.zone, self.report = values, layout, zone, report
        self.reading = ""
        """The meaning that is being read: where a fault is."""

    def text(self, meaning: str) -> str:
        """Return the value of a column, empty if there is no such column."""
        self.reading = meaning
        place = self.layout.columns.get(meaning)
        return "" if place is None else self.values[place].strip()

    def required(self, meaning: str) -> str:
        """Return the value of a column that must not be empty."""
        found = self.text(meaning)
        if not found:
            raise ValueFault("expected a value, got nothing")
        return found

    def number(self, meaning: str) -> float:
        """Return a required number."""
        return parse_number(self.required(meaning))

    def positive(self, meaning: str) -> float:
        """Return a required number above 0."""
        found = self.number(meaning)
        if found <= 0:
            raise ValueFault(f"expected a number above 0, got {quote(self.text(meaning))}")
        return found

    def optional(self, meaning: str) -> float | None:
        """Return a number, None if the value is empty."""
        found = self.text(meaning)
        return parse_number(found) if found else None

    def time(self, meaning: str) -> int:
        """Return a required time, epoch milliseconds."""
        return parse_time(self.required(meaning), self.zone, self.report)

    def side(self, meaning: str = "side") -> Side:
        """Return `buy` or `sell`."""
        found = self.required(meaning).lower()
        if found not in _BUY | _SELL:
            raise ValueFault(f"expected buy or sell, got {quote(found)}")
        return "buy" if found in _BUY else "sell"

    def position_side(self) -> PositionSide:
        """Return `long` or `short`; a trade that began with a buy is long."""
        found = self.required("side").lower()
        if found not in _LONG | _SHORT:
            raise ValueFault(f"expected long or short, got {quote(found)}")
        return "long" if found in _LONG else "short"

    def amount(self, meaning: str) -> tuple[float, str | None]:
        """Return a number that its currency may follow: `0.00100000BNB`."""
        found = self.required(meaning).replace(",", "")
        parts = _UNIT.fullmatch(found)
        if not parts:
            raise ValueFault(f"expected an amount such as 0.001BNB, got {quote(found)}")
        return parse_number(parts["number"]), parts["currency"]


class Layout(NamedTuple):
    """The kind of a CSV file: the columns by meaning, and how a row becomes events."""

    name: str
    columns: Mapping[str, int]
    events: Callable[[Row], Iterator[TradingEvent]]


def _fill(row: Row) -> Iterator[TradingEvent]:
    liquidity = row.text("liquidity").lower()
    if liquidity not in ("", "maker", "taker"):
        raise ValueFault(f"expected maker or taker, got {quote(liquidity)}")
    yield Execution(
        row.time("time"), row.text("order id"), row.required("symbol"), row.side(), row.positive("quantity"),
        row.positive("price"), row.optional("fee") or 0.0, row.text("fee currency") or None,
        is_maker=liquidity == "maker" if liquidity else None,
    )  # fmt: skip


def _trade(row: Row) -> Iterator[TradingEvent]:
    opened = row.time("opened") if row.text("opened") else None
    closed = row.time("closed" if "closed" in row.layout.columns else "time")
    if opened is not None and opened > closed:
        raise ValueFault("expected a trade that closes after it opens")
    yield TradeReport(
        closed, row.required("symbol"), row.position_side(), row.positive("quantity"),
        row.positive("entry price"), row.positive("exit price"), row.number("pnl"), opened,
        row.optional("fee") or 0.0, row.optional("funding") or 0.0,
    )  # fmt: skip


def _equity(row: Row) -> Iterator[TradingEvent]:
    yield EquityPoint(
        row.time("time"), row.number("equity"), row.optional("net flow") or 0.0,
        row.optional("unrealized pnl"), row.text("currency") or None,
    )  # fmt: skip


def _binance(row: Row) -> Iterator[TradingEvent]:
    quantity, base = row.amount("quantity")
    total, quote_currency = row.amount("total")
    price = row.positive("price")
    fee, fee_currency = row.amount("fee")
    row.reading = "quantity"
    if quantity <= 0 or abs(quantity * price - total) > 0.01 * abs(total):
        raise ValueFault(f"expected price · quantity to be the amount {total:g}, got {quantity * price:g}")
    symbol = f"{base}/{quote_currency}" if base and quote_currency else row.required("symbol")
    yield Execution(row.time("time"), "", symbol, row.side(), quantity, price, fee, fee_currency)


def _kraken(row: Row) -> Iterator[TradingEvent]:
    yield Execution(
        row.time("time"), row.text("order id"), row.required("symbol"), row.side(),
        row.positive("quantity"), row.positive("price"), row.optional("fee") or 0.0,
        pair_of(row.text("symbol")).quote,
    )  # fmt: skip


class _Deals:
    """Converts the deals of MetaTrader 5; the balance is the equity whenever no position is open."""

    def __init__(self) -> None:
        self._held: dict[str, float] = {}
        self._deals = 0

    def __call__(self, row: Row) -> Iterator[TradingEvent]:
        """Yield the events of a deal; costs are negative there, a `balance` deal is a flow."""
        if not row.text("time"):  # the sums below the table
            row.report.rows -= 1
            return
        at, kind = row.time("time"), row.required("side").lower()
        self._deals += 1
        if kind in ("balance", "credit", "bonus"):
            yield Flow(at, row.number("profit"), sequence=self._deals)
        elif kind in ("buy", "sell"):
            yield from self._trade(row, at)
        else:
            raise ValueFault(f"expected buy, sell, balance, credit or bonus, got {quote(kind)}")
        balance = row.optional("balance")
        if balance is not None and not any(self._held.values()):
            yield EquityPoint(at, balance, sequence=self._deals)

    def _trade(self, row: Row, at: int) -> Iterator[TradingEvent]:
        symbol, side, volume = row.required("symbol"), row.side(), row.positive("quantity")
        costs = (row.optional("fee") or 0.0) + (row.optional("other fee") or 0.0)
        swap = row.optional("swap") or 0.0
        order, price = row.text("order id"), row.positive("price")
        held = self._held.get(symbol, 0.0) + (volume if side == "buy" else -volume)
        self._held[symbol] = round(held, 8)  # lots have two decimals
        # What is paid at the close is of the trade that is open until then.
        if swap:
            yield FundingPaid(at, swap, symbol, sequence=self._deals - 1)
        yield Execution(at, order, symbol, side, volume, price, -costs, sequence=self._deals)


_FILL = ("time", "symbol", "side", "quantity", "price")
_TRADE = ("symbol", "side", "quantity", "entry price", "exit price", "pnl")
_EQUITY = ("time", "equity")
_OPTIONAL = {
    "fills": ("fee", "fee currency", "order id", "fill id", "liquidity"),
    "trades": ("opened", "closed", "time", "fee", "funding"),
    "equity": ("net flow", "unrealized pnl", "currency"),
}
KINDS: dict[str, tuple[tuple[str, ...], Callable[[Row], Iterator[TradingEvent]]]] = {
    "trades": (_TRADE, _trade),
    "fills": (_FILL, _fill),
    "equity": (_EQUITY, _equity),
}
"""By format: the columns that it must have, and its conversion. The most specific comes first."""
Conversion = Callable[[Row], Iterator[TradingEvent]]
EXPORTS: dict[str, tuple[Mapping[str, str], Callable[[], Conversion], str]] = {
    "binance": (
        {
            "time": "date(utc)", "symbol": "pair", "side": "side", "price": "price",
            "quantity": "executed", "total": "amount", "fee": "fee",
        },
        lambda: _binance,
        "Export of Binance's spot trade history: `Executed` is the quantity, `Amount` the total.",
    ),
    "kraken": (
        {
            "fill id": "txid", "order id": "ordertxid", "symbol": "pair", "time": "time", "side": "type",
            "price": "price", "total": "cost", "fee": "fee", "quantity": "vol", "margin": "margin",
        },
        lambda: _kraken,
        "Export of Kraken's trades: `vol` is the quantity, fees are in the quote currency.",
    ),
    "mt5": (
        {
            "time": "time", "fill id": "deal", "symbol": "symbol", "side": "type", "direction": "direction",
            "quantity": "volume", "price": "price", "order id": "order", "fee": "commission",
            "swap": "swap", "profit": "profit", "balance": "balance",
        },
        _Deals,
        "Deals of MetaTrader 5: volumes are in lots, times are the broker's: see docs/bots.md.",
    ),
}  # fmt: skip
"""By format: the columns of an export by meaning, what creates its conversion, how it is understood."""
FORMATS = (*KINDS, *EXPORTS)


def read_csv(
    lines: Iterable[str], wanted: str | None, zone: ZoneInfo, report: ReadReport
) -> Iterator[FoundEvent]:
    """Yield the events of a CSV file; wrong rows go to `report`. InvalidError for an unknown header."""
    iterator = iter(lines)
    first = next(iterator, "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(_chain(first, iterator), delimiter=delimiter, strict=True)
    layout = _find_layout(reader, lambda: reader.line_num, wanted, report)
    report.format = layout.name
    width = max(layout.columns.values()) + 1
    try:
        for values in reader:
            if any(map(str.strip, values)):
                report.rows += 1
                yield from _row_events(values, width, layout, reader.line_num, zone, report)
    except csv.Error as error:
        report.reject(f"line {reader.line_num}", f"expected CSV: {error}")


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _row_events(
    values: Sequence[str], width: int, layout: Layout, line: int, zone: ZoneInfo, report: ReadReport
) -> Iterator[FoundEvent]:
    if len(values) < width:
        report.reject(f"line {line}", f"expected at least {width} columns, got {len(values)}")
        return
    row = Row(values, layout, zone, report)
    try:
        found = list(layout.events(row))
    except ValueFault as error:
        column = layout.columns.get(row.reading)
        place = f", column {column + 1} ({row.reading})" if column is not None else f", {row.reading}"
        report.reject(f"line {line}{place}", str(error))
        return
    fill_id = row.text("fill id")
    for event in found:
        if is_plausible(event):
            yield FoundEvent(None, event, hash((fill_id, event)) if fill_id else None)
        else:
            report.reject(f"line {line}", "expected amounts below 1e18")


def _find_layout(
    rows: Iterator[list[str]], line: Callable[[], int], wanted: str | None, report: ReadReport
) -> Layout:
    header: list[str] = []
    try:
        for place, values in zip(range(TITLE_ROWS), rows, strict=False):
            names = [_plain(value) for value in values]
            header = header or values
            if found := _layout_of(names, wanted, report):
                if place:
                    report.note(f"{place} rows before the header in line {line()} are left out.")
                return found
    except csv.Error as error:
        raise InvalidError([Fault(f"{report.file}: line {line()}", f"expected CSV: {error}")]) from None
    kinds = [wanted] if wanted in KINDS else list(KINDS)
    expected = "; ".join(f"{kind}: {', '.join(KINDS[kind][0])}" for kind in kinds)
    message = f"expected a header with the columns of {expected}; got {', '.join(header) or 'nothing'}"
    raise InvalidError([Fault(f"{report.file}: line 1", message)])


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name.strip().lower())


def _layout_of(names: Sequence[str], wanted: str | None, report: ReadReport) -> Layout | None:
    """Return the layout of a header; None if it is not one. InvalidError if a column is ambiguous."""
    for name, (columns, create, note) in EXPORTS.items():
        if wanted in (None, name) and set(columns.values()) <= set(names):
            report.note(note)
            found = {meaning: names.index(column) for meaning, column in columns.items()}
            if name == "mt5" and "fee" in names:
                found["other fee"] = names.index("fee")
            return Layout(name, found, create())
    meanings = {meaning: [n for n in names if n in known] for meaning, known in SYNONYMS.items()}
    if not meanings["side"] and "type" in names:
        meanings["side"] = ["type"]
    for name, (required, events) in KINDS.items():
        if wanted in (None, name) and all(meanings[meaning] for meaning in required):
            has_time = name != "trades" or meanings["closed"] or meanings["time"]
            if not has_time:
                continue
            used = {
                meaning: _only(meaning, meanings[meaning], report)
                for meaning in (*required, *_OPTIONAL[name])
                if meanings[meaning]
            }
            listed = ", ".join(f"{meaning} = {column}" for meaning, column in used.items())
            report.note(f"Columns of {name}: {listed}.")
            return Layout(name, {meaning: names.index(column) for meaning, column in used.items()}, events)
    return None


def _only(meaning: str, columns: Sequence[str], report: ReadReport) -> str:
    exact = [column for column in columns if column == meaning]
    if len(columns) > 1 and len(exact) != 1:
        message = f"the columns {' and '.join(columns)} could all be the {meaning}: rename all but one"
        raise InvalidError([Fault(f"{report.file}: line 1", message)])
    return exact[0] if exact else columns[0]
