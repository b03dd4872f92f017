"""Settings that a bot's metrics depend on besides its records."""

import msgspec


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
