"""What the figures of a bot depend on besides its records."""

import msgspec


class AnalyticsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a bot's figures are made."""

    annualisation: int = 365
    """Trading days a year: 365 for markets that never close, 252 for exchanges with sessions."""
    start_equity: float | None = None
    """Account currency; None takes the first equity that is reported."""
    currency: str | None = None
    """The account's; None takes each symbol's quote for it."""
    time_zone: str = "UTC"
    """IANA name: whose midnight ends a trading day."""
    compare: bool = True
    """Whether reported figures are held against computed ones."""
