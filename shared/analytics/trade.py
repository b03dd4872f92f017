"""Trade: a closed trade made from the fills."""

import msgspec

from shared.schema.records import ContractType, TradeMatching

ROUNDING = 1e-9
"""A P&L below this share of the notional is rounding noise: zero. So is such a share of a quantity."""


class Trade(msgspec.Struct, frozen=True, gc=False):
    """A closed trade in one symbol: from flat to flat, a closed lot, or a reduction."""

    number: int
    """Counts from 1 within the account."""
    symbol: str
    side: str
    """Side of the opening fill."""
    quantity: float
    """Largest quantity held, or the quantity closed."""
    opened_at: int
    """Epoch milliseconds."""
    closed_at: int
    entry_price: float
    """Average price of all opening fills."""
    exit_price: float
    fees: float
    pnl: float | None
    """Account currency, net of fees and funding; None where it cannot be known."""
    funding: float = 0.0
    """Paid minus received."""
    leg: str = ""
    multiplier: float = 1.0
    contract_type: ContractType | None = None
    matching: TradeMatching = "flat-to-flat"
    notional: float = 0.0
    """At entry, account currency."""
    max_adverse: float | None = None
    """Lowest unrealised P&L while it was open, account currency; None without market prices."""
    max_favorable: float | None = None
    undefined: str | None = None
    """Why the P&L is None."""

    def without_pnl(self, why: str) -> "Trade":
        """Return this trade with its P&L undefined for the reason `why`."""
        return msgspec.structs.replace(self, pnl=None, undefined=why)


def result(earned: float | None, costs: float, notional: float) -> float | None:
    """Return the net P&L of a trade: what it earned minus `costs`, zero within rounding noise."""
    if earned is None:
        return None
    pnl = earned - costs
    return 0.0 if abs(pnl) <= ROUNDING * abs(notional) else pnl
