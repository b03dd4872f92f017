"""Trades of ccxt: what `fetch_my_trades` returns, as a JSON array. Pure.

Source: ccxt manual, "Trade structure".
"""

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from services.recorder.replay.rows import FoundEvent, ReadReport
from shared.analytics.events import NO_TERMS, ContractTerms, Execution, is_maker, is_plausible
from shared.schema.decoding import UNREADABLE
from shared.schema.faults import struct_faults
from shared.schema.timestamps import epoch_ms, from_wire

_UNITY = 1e-6
"""How far cost / (amount · price) may be from 1 before it is the size of a contract."""


class Fee(msgspec.Struct):
    """A fee; negative is a rebate."""

    cost: float | None = None
    currency: str | None = None


class CcxtTrade(msgspec.Struct, rename={"taker_or_maker": "takerOrMaker"}):
    """One execution, with the fields that are read."""

    timestamp: int
    symbol: str
    side: Literal["buy", "sell"]
    price: float
    amount: float
    id: str | None = None
    order: str | None = None
    taker_or_maker: Literal["taker", "maker"] | None = None
    cost: float | None = None
    fee: Fee | None = None
    fees: list[Fee] = []


_decoder = msgspec.json.Decoder(CcxtTrade)


def read_ccxt_trades(items: Iterable[msgspec.Raw], report: ReadReport) -> Iterator[FoundEvent]:
    """Yield the executions; wrong ones go to `report`."""
    for place, item in enumerate(items):
        report.rows += 1
        try:
            trade = _decoder.decode(item)
            at = epoch_ms(from_wire(trade.timestamp))
        except UNREADABLE:
            faults = struct_faults(_without_unknown(msgspec.json.decode(item)), CcxtTrade, f"$[{place}]")
            first = faults[0] if faults else None
            report.reject(first.path if first else f"$[{place}]", first.message if first else "not a trade")
            continue
        except ValueError as error:
            report.reject(f"$[{place}].timestamp", str(error))
            continue
        if trade.amount <= 0 or trade.price <= 0:
            report.reject(f"$[{place}]", "expected an amount and a price above 0")
            continue
        event = _execution(trade, at, place, report)
        if event is None or not is_plausible(event):
            if event is not None:
                report.reject(f"$[{place}]", "expected amounts below 1e18")
            continue
        yield FoundEvent(None, event, hash((trade.id, event)) if trade.id else None)


def _without_unknown(item: object) -> object:
    known = {field.encode_name for field in msgspec.structs.fields(CcxtTrade)}
    return {name: value for name, value in item.items() if name in known} if isinstance(item, dict) else item


def _execution(trade: CcxtTrade, at: int, place: int, report: ReadReport) -> Execution | None:
    given = trade.fees or ([trade.fee] if trade.fee else [])
    fees = [fee for fee in given if fee.cost]
    currencies = {fee.currency for fee in fees}
    if len(currencies) > 1:
        report.reject(f"$[{place}].fees", f"expected one currency, got {', '.join(map(str, currencies))}")
        return None
    return Execution(
        at, trade.order or "", trade.symbol, trade.side, trade.amount, trade.price,
        sum(fee.cost or 0.0 for fee in fees), next(iter(currencies), None),
        terms=_terms(trade, report), is_maker=is_maker(trade.taker_or_maker),
    )  # fmt: skip


def _terms(trade: CcxtTrade, report: ReadReport) -> ContractTerms:
    """Return the size of a contract, which follows from the cost: ccxt counts contracts in contracts."""
    base, _, rest = trade.symbol.partition("/")
    quote, _, settle = rest.partition(":")
    if not settle or not trade.cost:
        return NO_TERMS
    is_inverse = settle.partition("-")[0] == base != quote
    size = trade.cost * trade.price if is_inverse else trade.cost / trade.price
    multiplier = float(f"{size / trade.amount:.6g}")
    if not is_inverse and abs(multiplier - 1) < _UNITY:
        return NO_TERMS
    report.note(f"{trade.symbol}: the contract's multiplier is {multiplier:g}, from `cost`.")
    return ContractTerms("inverse" if is_inverse else "linear", multiplier)
