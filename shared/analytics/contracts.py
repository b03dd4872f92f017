"""Contracts: how a symbol's P&L, notional and average price are made.

Linear contracts, spot and options earn side · (exit − entry) · quantity · multiplier in the quote currency;
inverse ones side · quantity · multiplier · (1 / entry − 1 / exit) in the base currency. Source: the contract
specifications of BitMEX (inverse) and CME (multiplier).
"""

from functools import lru_cache
from typing import NamedTuple

from shared.analytics.events import NO_TERMS, SMALLEST_PRICE, ContractTerms
from shared.analytics.symbols import common_code, pair_of
from shared.schema.records import ContractType


class Contract(NamedTuple):
    """The terms of a symbol: from its records, else the settings, else its name."""

    contract_type: ContractType
    multiplier: float = 1.0
    lot_size: float | None = None
    base: str | None = None
    money: str | None = None
    """Currency of its P&L and notional; None: the account's."""
    is_spot: bool = True
    """Whether fees may be taken from the position, and nothing can be sold short."""

    def pnl(self, quantity: float, entry: float, exit_price: float) -> float:
        """Return the P&L of a quantity (negative is short), in `money`."""
        if self.contract_type == "inverse":
            return quantity * self.multiplier * (reciprocal(entry) - reciprocal(exit_price))
        return quantity * (exit_price - entry) * self.multiplier

    def notional(self, quantity: float, price: float) -> float:
        """Return the value of a quantity at a price, in `money`; negative for shorts."""
        if self.contract_type == "inverse":
            return quantity * self.multiplier * reciprocal(price)
        return quantity * price * self.multiplier

    def weigh(self, price: float) -> float:
        """Return what averages linearly: the price, of inverse contracts its reciprocal."""
        return reciprocal(price) if self.contract_type == "inverse" else price

    def unweigh(self, weight: float) -> float:
        """Return the price of a weight."""
        return reciprocal(weight) if self.contract_type == "inverse" else weight

    def average(self, held: float, cost: float, added: float, price: float) -> float:
        """Return the average price of a held and an added quantity; of inverse contracts the harmonic one."""
        weight = self.weigh(cost) * held + self.weigh(price) * added
        return self.unweigh(weight / (held + added))


def reciprocal(price: float) -> float:
    """Return 1 / price; 0 for a price of about 0, which has no value."""
    return 1 / price if abs(price) >= SMALLEST_PRICE else 0.0


@lru_cache(maxsize=4096)
def named_contract(symbol: str, hint: str | None = None) -> Contract:
    """Return the contract of a symbol of which nothing but its name is known; `hint` as in `contract_of`."""
    return contract_of(symbol, NO_TERMS, hint)


@lru_cache(maxsize=4096)
def contract_of(symbol: str, terms: ContractTerms, hint: str | None = None) -> Contract:
    """Return the contract of `symbol`: by the terms that are known, else by its name.

    `hint` is a currency that the name may contain, such as a fee's.
    """
    pair = pair_of(symbol, hint)
    kind = terms.contract_type or pair.contract_type
    base = common_code(terms.base) or pair.base
    quote = common_code(terms.quote)
    money: str | None = quote or pair.money
    if kind == "inverse":
        money = base
    elif kind == "quanto":
        money = quote  # a quanto's multiplier is in the account's currency
    return Contract(
        kind or "linear",
        terms.multiplier or 1.0,
        terms.lot_size,
        base,
        money,
        is_spot=kind in (None, "spot") and not pair.is_derivative,
    )
