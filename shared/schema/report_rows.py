"""Rows that reports are made of, as they are read from the databases. Pure."""

from datetime import datetime
from typing import NamedTuple


class TradeHour(NamedTuple):
    """The trades of one bot and symbol that closed within an hour, account currency."""

    symbol: str
    hour: datetime
    number: int
    wins: int
    losses: int
    pnl: float
    """Of those whose P&L is known."""
    gains: float
    lost: float
    """Positive."""
    undefined: int
    fees: float
    funding: float


class AlertRow(NamedTuple):
    """An alert, and when it was first acknowledged."""

    id: str
    opened_at: datetime
    severity: str
    rule: str
    component: str
    message: str
    status: str
    acknowledged_at: datetime | None
    resolved_at: datetime | None
    assignee: str | None


class NoticeRow(NamedTuple):
    """A notice that was sent, or failed for good."""

    at: datetime
    alert: str
    channel: str
    person: str | None
    """Whom it was for, where the recipient is a person."""
    is_sent: bool


class CheckHours(NamedTuple):
    """What the hours of a check say together."""

    latency_ms: float | None
    """Mean."""
    certificate_days: float | None
    """Fewest."""


class HostHour(NamedTuple):
    """A figure of a host in one hour."""

    at: datetime
    mean: float
    highest: float


class TradeSums(NamedTuple):
    """Trades that have something in common, account currency."""

    key: str
    """The symbol, the local weekday or the local hour."""
    number: int
    wins: int
    losses: int
    pnl: float
    gains: float
    lost: float
    undefined: int
    fees: float
    funding: float
