"""Positions of an account, and the P&L from them, net of fees and funding.

A position is kept at average cost, with FIFO or LIFO matching by lots. What counts as a closed trade depends
on the matching: from flat to flat, each closed lot, or each reduction.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from shared.analytics.contracts import Contract, contract_of, named_contract
from shared.analytics.events import NO_TERMS, ContractTerms, FundingPaid, PositionReport, Quote
from shared.analytics.lots import Lot, add_lot, decimals, lot_size_of
from shared.analytics.position import Position, Reduction
from shared.analytics.reductions import Convert, MatchedFill, close_parts, closing_quantity
from shared.analytics.settings import AnalyticsSettings
from shared.analytics.symbols import common_code
from shared.analytics.trade import ROUNDING, Trade
from shared.analytics.trades import HOUR_MS

MAX_POSITIONS = 600
"""Open positions of an account; further ones are not followed, and what depends on them is undefined.

With as many, and 1,000 orders, the state of an account takes 1 MiB."""
MAX_SYMBOLS = 600
"""Symbols whose prices and terms are known; further symbols replace the oldest without a position."""
LEARNED_SHARE = 0.1
"""A rest below a learned lot size closes a trade only up to this share of its largest quantity."""
NEVER_FLAT_REDUCTIONS = 20
"""A bot that reduced a position this often without going flat never goes flat: each reduction is a trade."""
NO_MARK_RATES: Mapping[str, float | None] = {}
NO_FILLS = -1
"""Decimals of the quantities of a position that was only reported."""
T = TypeVar("T")


class PositionBook(msgspec.Struct):
    """All positions of one account, streaming: apply fills, reports and payments in the order of time."""

    positions: dict[str, Position] = {}
    """By symbol, of several positions in one by symbol and leg; without those that are flat and dustless."""
    prices: dict[str, float] = {}
    """Latest price of each symbol: its quote, or else its last fill."""
    quotes: dict[str, float] = {}
    """Latest quote of each symbol."""
    terms: dict[str, ContractTerms] = {}
    """Terms of contracts that records stated, by symbol."""
    places: dict[str, int] = {}
    """Most decimals of the quantities of fills, by key of the position, once one came or it was reported."""
    legs: dict[str, list[str]] = {}
    """Keys of the positions of symbols that have several."""
    earned: float = 0.0
    """P&L of everything closed, before fees, account currency."""
    fees: float = 0.0
    funding: float = 0.0
    """Funding, swap and interest: paid minus received, account currency."""
    fills: int = 0
    reports: int = 0
    """Number of position reports."""
    traded_at: int = 0
    """Time of the latest fill, epoch milliseconds."""
    trades: int = 0
    unconverted: dict[str, float] = {}
    """Amounts by currency whose rate is unknown."""
    corrected: dict[str, int] = {}
    """When a position last had to be corrected, by key."""
    opening: float = 0.0
    """Unrealised P&L of opening balances when they were reported, account currency."""
    dropped: int = 0
    """Fills and reports of positions beyond `MAX_POSITIONS`."""
    never_flat: bool = False
    learned_lot: bool = False
    """Whether a learned lot size decided that a trade was closed."""
    merged_lots: bool = False

    def apply_quote(self, event: Quote) -> None:
        """Apply a market price."""
        symbol, price = event.symbol, event.price
        self._keep(self.quotes, symbol, price)
        self._keep(self.prices, symbol, price)
        for key in (symbol, *self.legs[symbol]) if symbol in self.legs else (symbol,):
            held = self.positions.get(key)
            if held is not None and held.side:
                held.observe(self.contract(symbol), price, event.at)

    def apply_fill(self, fill: MatchedFill) -> list[Trade]:
        """Apply an execution and return the trades that it closes."""
        event = fill.event
        self.fills += 1
        self.traded_at = event.at
        symbol = event.symbol
        self._keep(self.prices, symbol, event.price)
        key = _key(symbol, event.leg)
        self._keep(self.places, key, max(self.places.get(key, NO_FILLS), decimals(event.quantity)))
        held = self.positions.get(key) or self._new_position(symbol, event.leg)
        quantity = event.quantity if event.side == "buy" else -event.quantity
        fee, of_base = self._fee(fill)
        if fee is None:
            self._note_unconverted(event.fee_currency or "", event.fee)
        self.fees += fee or 0.0
        if held is None:
            self.dropped += 1
            return []
        held.is_unconverted |= fee is None
        held.rate, held.priced_at = fill.rate, event.at
        if of_base:
            quantity -= min(event.fee, max(held.quantity + quantity, 0.0))
        trades = self._change(held, fill, quantity, fee or 0.0) if quantity else []
        self._store(key, held)
        return trades

    def apply_funding(self, event: FundingPaid, amount: float | None) -> None:
        """Apply a payment; `amount` is in account currency, negative is paid, None without a rate."""
        if amount is None:
            self._note_unconverted(event.currency or "", event.amount)
        paid = -(amount or 0.0)
        self.funding += paid
        held = self.positions.get(_key(event.symbol, event.leg)) if event.symbol else None
        if held and held.side:
            held.funding += paid
            held.open_funding += paid
            held.is_unconverted |= amount is None

    def apply_report(self, event: PositionReport, settings: AnalyticsSettings, convert: Convert) -> None:
        """Apply a position as the broker has it: an opening balance, a confirmation or a correction."""
        self.reports += 1
        key = _key(event.symbol, event.leg)
        contract = self.learn(event.symbol, event.terms, settings)
        if event.mark_price:
            self._keep(self.prices, event.symbol, event.mark_price)
        held = self.positions.get(key) or self._new_position(event.symbol, event.leg)
        if held is None:
            self.dropped += 1
            return
        folded, is_opening = held.quantity if held.side else 0.0, key not in self.places
        self._keep(self.places, key, self.places.get(key, NO_FILLS))
        if abs(folded - event.quantity) > self._tolerance(held, contract, event.quantity):
            if not is_opening:
                self.corrected = {
                    name: at for name, at in self.corrected.items() if at > event.at - HOUR_MS
                } | {key: event.at}
            held = self._corrected(held, contract, event, is_partial=not is_opening)
            held.folded = None if is_opening else folded
            held.rate = convert(1.0, contract.money, event.at)
            if is_opening and held.quantity:
                price = self.prices.get(event.symbol, held.cost)
                self.opening += contract.pnl(held.quantity, held.cost, price) * (held.rate or 0.0)
        else:
            held.folded = None
        held.mark, held.marked_at, held.reported_at = event.mark_price, event.at, event.at
        held.liquidation_price, held.margin = event.liquidation_price, event.margin
        if event.mark_price:
            held.observe(contract, event.mark_price, event.at)
        self._store(key, held)

    def realized(self) -> float:
        """Return the P&L of closed positions, minus all fees and funding, account currency."""
        return self.earned - self.fees - self.funding

    def unrealized(self, rates: Mapping[str, float | None] = NO_MARK_RATES) -> float:
        """Return the P&L of open positions at the latest prices, before fees, account currency.

        `rates` are newer rates than those of the latest fills, by symbol.
        """
        return math.fsum(
            self.contract(held.symbol).pnl(held.quantity, held.cost, self.prices.get(held.symbol, held.cost))
            * (rates.get(held.symbol, held.rate) or 0.0)
            for held in self.open_positions()
        )

    def differences(self, now: int) -> int:
        """Return how many positions had to be corrected in the hour until `now`."""
        return sum(at > now - HOUR_MS for at in self.corrected.values())

    def open_positions(self) -> Iterator[Position]:
        """Yield the positions that are not flat; dust is none."""
        return (held for held in self.positions.values() if held.side)

    def is_flat(self) -> bool:
        """Return whether no position is open; dust may exist."""
        for held in self.positions.values():  # noqa: SIM110 - asked at every equity point: quicker
            if held.side:
                return False
        return True

    def contract(self, symbol: str) -> Contract:
        """Return the contract of a symbol by what is known of it."""
        known = self.terms.get(symbol)
        return named_contract(symbol) if known is None else contract_of(symbol, known)

    def learn(
        self, symbol: str, terms: ContractTerms, settings: AnalyticsSettings, hint: str | None = None
    ) -> Contract:
        """Return the contract of a record; remember its terms, which precede the configured ones."""
        known = self.terms.get(symbol)
        if known is None and terms is NO_TERMS and not settings.symbols:
            return named_contract(symbol, hint)
        if known is None or terms is not NO_TERMS:
            known = settings.terms_of(symbol) if known is None else known
            known = known._replace(
                **{name: value for name, value in terms._asdict().items() if value is not None}
            )
            if known != NO_TERMS:
                self._keep(self.terms, symbol, known)
        return contract_of(symbol, known, hint)

    def _new_position(self, symbol: str, leg: str) -> Position | None:
        """Return a new position; None beyond the limit."""
        if len(self.positions) >= MAX_POSITIONS:
            self._drop_dust()
        return Position(symbol, leg) if len(self.positions) < MAX_POSITIONS else None

    def _store(self, key: str, held: Position) -> None:
        if held.side or held.dust:
            if held.leg and key not in self.positions:
                self.legs.setdefault(held.symbol, []).append(key)
            self.positions[key] = held
        elif self.positions.pop(key, None) and held.leg:
            self.legs[held.symbol].remove(key)

    def _drop_dust(self) -> None:
        """Make room: forget positions that are flat."""
        for key, held in list(self.positions.items()):
            if not held.side:
                del self.positions[key]
                if held.leg:
                    self.legs[held.symbol].remove(key)

    def _keep(self, known: dict[str, T], symbol: str, value: T) -> None:
        """Store a symbol's value; limits the number of symbols, but keeps those with a position."""
        if symbol not in known and len(known) >= MAX_SYMBOLS:
            oldest = next((name for name in known if name not in self.positions), next(iter(known)))
            del known[oldest]
        known[symbol] = value

    def _note_unconverted(self, currency: str, amount: float) -> None:
        if currency in self.unconverted or len(self.unconverted) < MAX_SYMBOLS:
            self.unconverted[currency] = self.unconverted.get(currency, 0.0) + amount

    def _fee(self, fill: MatchedFill) -> tuple[float | None, bool]:
        """Return the fee in account currency (None without a rate), and whether the position paid it.

        A fee in an unknown currency counts as account currency. One in the traded asset of a spot market is
        valued at the price of the fill itself.
        """
        event, contract = fill.event, fill.contract
        if not event.fee:
            return event.fee, False
        paid_in = common_code(event.fee_currency)
        if paid_in is None or paid_in == fill.currency:
            return event.fee, False
        if paid_in == contract.base and contract.contract_type != "inverse":
            value = fill.convert(event.fee * event.price, contract.money, event.at)
            return value, contract.is_spot
        return (fill.convert(event.fee, paid_in, event.at) if fill.currency else None), False

    def _tolerance(self, held: Position, contract: Contract, reported: float) -> float:
        """Return below which difference a folded and a reported quantity agree."""
        rounding = ROUNDING * max(abs(held.quantity), abs(reported))
        return max(rounding, abs(held.dust), (contract.lot_size or 0.0) * (1 - ROUNDING))

    def _corrected(
        self, held: Position, contract: Contract, event: PositionReport, *, is_partial: bool
    ) -> Position:
        """Return the position as reported; a trade whose opening or closing was not seen does not count."""
        price = event.entry_price
        if price is None:
            price = held.cost if held.side else self.prices.get(event.symbol, 0.0)
        fresh = Position(held.symbol, held.leg, dust=held.dust, dust_cost=held.dust_cost)
        if event.quantity:
            same = held.side and (held.quantity > 0) == (event.quantity > 0)
            opened_at = event.opened_at or (held.opened_at if same else event.at)
            fresh.increase(contract, event.quantity, price, opened_at, held.fees if same else 0.0)
            fresh.funding = fresh.open_funding = held.funding if same else 0.0
            fresh.is_partial = is_partial
            fresh.lots = [Lot(abs(event.quantity), price, opened_at, fresh.fees)] if held.lots else None
        return fresh

    def _change(self, held: Position, fill: MatchedFill, quantity: float, fee: float) -> list[Trade]:
        """Close what `quantity` (negative sells) closes, then open with the rest; both share the fee."""
        contract, event = fill.contract, fill.event
        closing = closing_quantity(quantity, held.quantity)
        opening = quantity - closing
        trades: list[Trade] = []
        if closing:
            if abs(opening) <= ROUNDING * held.largest:
                closing, opening = quantity, 0.0
            trades = self._reduce(held, fill, closing, fee * (closing / quantity))
        if opening < 0 < held.dust and contract.is_spot and not held.side:
            opening = self._sell_dust(held, fill, opening)
        if opening:
            share = fee * (opening / quantity)
            if fill.matching in ("fifo", "lifo"):
                held.lots = held.lots or held.as_lots()  # a reported position has none yet
            held.increase(contract, opening, event.price, event.at, share)
            if held.lots is not None:
                lot = Lot(abs(opening), event.price, event.at, share)
                self.merged_lots |= add_lot(held.lots, lot, held.cost)
        return trades

    def _sell_dust(self, held: Position, fill: MatchedFill, opening: float) -> float:
        """Sell dust before a short is opened; return the rest of `opening`."""
        sold = min(held.dust, -opening)
        self.earned += fill.contract.pnl(sold, held.dust_cost, fill.event.price) * (held.rate or 0.0)
        held.dust = held.dust - sold if held.dust - sold > ROUNDING * sold else 0.0
        rest = opening + sold
        return rest if -rest > ROUNDING * sold else 0.0

    def _reduce(self, held: Position, fill: MatchedFill, closing: float, fee: float) -> list[Trade]:
        """Close a part of a position, or all of it, and return the trades that this closes."""
        contract, event = fill.contract, fill.event
        parts = close_parts(held, fill, abs(closing), fee)
        earned = 0.0
        for part in parts:
            if part.earned is None:
                held.is_unconverted = True
                self._note_unconverted(contract.money or "", 1.0)
            else:
                earned += part.earned
        self.earned += earned
        held.quantity += closing
        held.left += abs(closing)
        held.left_for += abs(closing) * contract.weigh(event.price)
        held.earned += earned
        held.fees += fee
        is_closed = self._is_closed(held, contract)
        if fill.matching in (None, "flat-to-flat"):
            trades = self._flat_to_flat(held, fill, parts, is_closed=is_closed)
        else:
            trades = [held.partial_trade(contract, self._next(), part, fill.matching) for part in parts]
        if is_closed:
            held.end_trade()
        return trades

    def _flat_to_flat(
        self, held: Position, fill: MatchedFill, parts: list[Reduction], *, is_closed: bool
    ) -> list[Trade]:
        if is_closed:
            if held.is_partial:
                return []
            return [held.whole_trade(fill.contract, self._next(), fill.event.at)]
        if fill.matching is not None:
            return []
        reductions = held.reductions = [*(held.reductions or []), *parts]
        if len(reductions) < NEVER_FLAT_REDUCTIONS:
            return []
        self.never_flat, held.reductions = True, None
        return [held.partial_trade(fill.contract, self._next(), part, "average") for part in reductions]

    def _is_closed(self, held: Position, contract: Contract) -> bool:
        """Return whether what is left is nothing, or dust."""
        rest = abs(held.quantity)
        if rest <= ROUNDING * held.largest:
            held.quantity = 0.0
            return True
        if contract.lot_size is not None:
            return rest < contract.lot_size * (1 - ROUNDING)
        places = self.places.get(_key(held.symbol, held.leg), NO_FILLS)
        if not contract.is_spot or places < 0 or rest >= lot_size_of(places) * (1 - ROUNDING):
            return False
        self.learned_lot |= rest <= LEARNED_SHARE * held.largest
        return rest <= LEARNED_SHARE * held.largest

    def _next(self) -> int:
        self.trades += 1
        return self.trades


def upgraded_positions(book: dict[str, Any]) -> None:
    """Change the decoded JSON of a book from before version 4: its positions were objects by symbol."""
    names = (
        *("quantity", "cost", "opened_at", "largest", "entered", "entered_for", "left", "left_for"),
        *("earned", "fees", "side"),
    )
    for symbol, held in book["positions"].items():
        if isinstance(held, dict):
            given = {name: held[name] for name in names}
            if not given["side"]:  # a rest without a trade is dust now
                given = {"dust": held["quantity"], "dust_cost": held["cost"]}
            position = Position(symbol, open_fees=given.get("fees", 0.0), **given)
            book["positions"][symbol] = msgspec.to_builtins(position)
    book.setdefault("places", dict.fromkeys(book["prices"], NO_FILLS))


def _key(symbol: str, leg: str) -> str:
    return f"{symbol}\n{leg}" if leg else symbol
