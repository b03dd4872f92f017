"""Settings that a bot's metrics depend on besides its records."""

from typing import Literal

import msgspec

from shared.analytics.events import NO_TERMS, ContractTerms
from shared.schema.patterns import glob_matches

Matching = Literal["flat-to-flat", "fifo", "lifo", "average"]
RATE_MAX_AGE_S = 300.0


class AnalyticsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a bot's metrics are computed."""

    annualisation: int = 365
    """Trading days a year: 365 for markets that never close, 252 for exchanges with sessions."""
    start_equity: float | None = None
    """Account currency; None: the first reported equity."""
    currency: str | None = None
    """Currency of the account; None: each symbol's quote currency."""
    time_zone: str = "UTC"
    """IANA name of the time zone whose midnight ends a trading day."""
    compare: bool = True
    """Whether reported metrics are compared with computed ones."""
    matching: Matching | None = None
    """What counts as a closed trade; None: `flat-to-flat`, or `average` for a bot that never goes flat."""
    benchmark: str | None = None
    """Symbol that the returns are compared with; None: the bot's own symbol, if it trades only one."""
    rate_max_age_s: float = RATE_MAX_AGE_S
    """Age up to which a price of a currency is used for conversion, seconds."""
    symbols: dict[str, ContractTerms] = {}
    """Terms of contracts by symbol or pattern; later ones override earlier ones."""

    def terms_of(self, symbol: str) -> ContractTerms:
        """Return the terms of `symbol` as far as they are configured."""
        found = NO_TERMS
        for pattern, terms in self.symbols.items():
            if glob_matches(pattern, symbol):
                given = {name: value for name, value in terms._asdict().items() if value is not None}
                found = found._replace(**given)
        return found
