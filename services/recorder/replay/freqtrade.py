"""Backtest results of freqtrade: JSON, or the ZIP file that has it. Pure.

Source: freqtrade documentation, "Backtesting", and the fields of its result (`generate_strategy_stats`).
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple

import msgspec

from services.recorder.replay.rows import FileDefaults, FoundEvent, ReadReport
from shared.analytics.events import EquityPoint, Execution, FundingPaid, TradeReport, TradingEvent
from shared.schema.decoding import UNREADABLE
from shared.schema.faults import Fault, InvalidError, did_you_mean
from shared.schema.records import PositionSide, Side


class FreqtradeOrder(msgspec.Struct):
    """A filled order of a trade."""

    amount: float
    safe_price: float
    ft_is_entry: bool
    order_filled_timestamp: float | None = None


class FreqtradeTrade(msgspec.Struct):
    """A trade; amounts include the leverage, money is in the stake currency."""

    pair: str
    amount: float
    open_rate: float
    open_timestamp: float
    close_rate: float | None = None
    close_timestamp: float | None = None
    fee_open: float = 0.0
    """Share of the notional."""
    fee_close: float = 0.0
    profit_abs: float | None = None
    exit_reason: str | None = None
    funding_fees: float | None = None
    """Received; negative is paid."""
    leverage: float | None = None
    is_short: bool = False
    is_open: bool = False
    orders: list[FreqtradeOrder] = []


class StrategyResult(msgspec.Struct):
    """The result of one strategy."""

    trades: list[FreqtradeTrade]
    stake_currency: str
    starting_balance: float
    backtest_start_ts: float | None = None
    profit_total_abs: float | None = None
    final_balance: float | None = None


class _Result(msgspec.Struct):
    strategy: dict[str, StrategyResult]


class Booked(NamedTuple):
    """One fill of a trade."""

    at: int
    is_entry: bool
    quantity: float
    price: float


def decode_result(data: bytes, strategy: str | None, file: str) -> StrategyResult:
    """Return the result of a strategy, which must be named if there are several. Raises InvalidError."""
    try:
        found = msgspec.json.decode(data, type=_Result).strategy
    except UNREADABLE as error:
        message = f"expected a backtest result of freqtrade: {error}"
        raise InvalidError([Fault(file, message)]) from None
    if strategy is None and len(found) == 1:
        return next(iter(found.values()))
    if strategy not in found:
        names = ", ".join(sorted(found)) or "none"
        hint = did_you_mean(strategy, found) if strategy else ""
        message = f"expected --strategy to be one of {names}{hint}"
        raise InvalidError([Fault(file, message)])
    return found[strategy]


def defaults_of(result: StrategyResult) -> FileDefaults:
    """Return the account's currency and start equity."""
    return FileDefaults(result.stake_currency, result.starting_balance)


def read_freqtrade(result: StrategyResult, report: ReadReport) -> Iterator[FoundEvent]:
    """Yield the events of the trades: fills, funding, the trade as freqtrade counts it, and equity.

    Their sequence is that of the trades: of one moment, a trade closes before the next one opens. Equity is
    the starting balance plus the profit so far, after each close, as in freqtrade's own drawdown.
    """
    report.note(
        "Equity is the starting balance plus the profit of closed trades, as in freqtrade's drawdown; open "
        "positions are not marked."
    )
    trades = sorted(result.trades, key=lambda trade: (trade.open_timestamp, trade.close_timestamp or 0))
    numbers = count()
    begin = result.backtest_start_ts or min((trade.open_timestamp for trade in trades), default=0)
    if begin:
        yield FoundEvent(None, EquityPoint(int(begin), result.starting_balance))
    profits: dict[int, float] = {}
    for place, trade in enumerate(trades):
        report.rows += 1
        if fault := _fault(trade):
            report.reject(f"trade {place + 1} ({trade.pair})", fault)
            continue
        for event in _trade_events(trade, f"trade {place + 1}", numbers):
            yield FoundEvent(None, event)
        if trade.close_timestamp is not None and not trade.is_open:
            at = int(trade.close_timestamp)
            profits[at] = profits.get(at, 0.0) + (trade.profit_abs or 0.0)
    yield from _equity(profits, result.starting_balance, next(numbers))
    _compare(result, trades, report)


def _fault(trade: FreqtradeTrade) -> str:
    is_closed = not trade.is_open
    if is_closed and (trade.close_timestamp is None or trade.close_rate is None or trade.profit_abs is None):
        return "expected close_timestamp, close_rate and profit_abs of a closed trade"
    if trade.amount <= 0 or trade.open_rate <= 0:
        return "expected an amount and an open_rate above 0"
    return ""


def _trade_events(trade: FreqtradeTrade, name: str, numbers: Iterator[int]) -> Iterator[TradingEvent]:
    fills = _fills(trade)
    for fill in fills:
        is_last = fill is fills[-1] and not trade.is_open
        if is_last and trade.funding_fees:
            yield FundingPaid(fill.at, trade.funding_fees, trade.pair, sequence=next(numbers))
        side: Side = "buy" if fill.is_entry != trade.is_short else "sell"
        rate = trade.fee_open if fill.is_entry else trade.fee_close
        yield Execution(
            fill.at, name, trade.pair, side, fill.quantity, fill.price, fill.quantity * fill.price * rate,
            sequence=next(numbers),
        )  # fmt: skip
    if not trade.is_open:
        yield _reported(trade, fills, next(numbers))


def _fills(trade: FreqtradeTrade) -> Sequence[Booked]:
    """Return the filled orders; without them, one entry and one exit."""
    if trade.orders and all(order.order_filled_timestamp for order in trade.orders):
        return [
            Booked(int(order.order_filled_timestamp or 0), order.ft_is_entry, order.amount, order.safe_price)
            for order in trade.orders
        ]
    fills = [Booked(int(trade.open_timestamp), True, trade.amount, trade.open_rate)]  # noqa: FBT003 - a row
    if not trade.is_open:
        fills.append(
            Booked(int(trade.close_timestamp or 0), False, trade.amount, trade.close_rate or 0.0)  # noqa: FBT003
        )
    return fills


def _reported(trade: FreqtradeTrade, fills: Sequence[Booked], sequence: int) -> TradeReport:
    side: PositionSide = "short" if trade.is_short else "long"
    fees = sum(
        fill.quantity * fill.price * (trade.fee_open if fill.is_entry else trade.fee_close) for fill in fills
    )
    return TradeReport(
        int(trade.close_timestamp or 0), trade.pair, side, trade.amount, trade.open_rate,
        trade.close_rate or 0.0, trade.profit_abs or 0.0, int(trade.open_timestamp), fees,
        -(trade.funding_fees or 0.0), sequence=sequence,
    )  # fmt: skip


def _equity(profits: dict[int, float], equity: float, sequence: int) -> Iterator[FoundEvent]:
    for at in sorted(profits):
        equity += profits[at]
        yield FoundEvent(None, EquityPoint(at, equity, sequence=sequence))


def _compare(result: StrategyResult, trades: Sequence[FreqtradeTrade], report: ReadReport) -> None:
    """Note freqtrade's own totals, and where its trades do not add up to them."""
    closed = [trade.profit_abs or 0.0 for trade in trades if not trade.is_open]
    total, money = sum(closed), result.stake_currency
    wins = sum(profit > 0 for profit in closed)
    report.note(f"freqtrade: {len(closed)} closed trades, {wins} wins, profit {total:.10g} {money}.")
    reported = result.profit_total_abs
    if reported is not None and abs(reported - total) > 1e-6 * max(abs(reported), abs(total)):
        report.note(f"Its profit_total_abs is {reported:.10g} {money}, which its trades do not add up to.")
