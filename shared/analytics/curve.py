"""Equity curve by minutes and hours: open, high, low, close, flows and drawdown of each."""

import msgspec

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


class EquityBar(msgspec.Struct):
    """The equity of one minute or hour, account currency; drawdowns are fractions of the peak."""

    begin: int
    """Epoch milliseconds."""
    open: float
    high: float
    low: float
    close: float
    net_flow: float
    drawdown: float
    """Deepest drawdown in it."""
    last_drawdown: float
    peak: float
    """Peak at its end, adjusted for flows."""
    points: int


class EquityCurve(msgspec.Struct):
    """The current minute and hour."""

    minute: EquityBar | None = None
    hour: EquityBar | None = None

    def apply(
        self, at: int, equity: float, net_flow: float, drawdown: float, peak: float
    ) -> tuple[EquityBar | None, EquityBar | None]:
        """Add a point (`at` in epoch milliseconds); return the minute and the hour that it ends, if any."""
        minute, self.minute = _extend(self.minute, MINUTE_MS, at, equity, net_flow, drawdown, peak)
        hour, self.hour = _extend(self.hour, HOUR_MS, at, equity, net_flow, drawdown, peak)
        return minute, hour


def _extend(
    known: EquityBar | None, width: int, at: int, equity: float, net_flow: float, drawdown: float, peak: float
) -> tuple[EquityBar | None, EquityBar]:
    """Return the bar that ended, and the current one with the point added."""
    begin = at - at % width
    if known is None or known.begin != begin:
        fresh = EquityBar(begin, equity, equity, equity, equity, net_flow, drawdown, drawdown, peak, 1)
        return known, fresh
    known.high = max(known.high, equity)
    known.low = min(known.low, equity)
    known.close = equity
    known.net_flow += net_flow
    known.drawdown = max(known.drawdown, drawdown)
    known.last_drawdown = drawdown
    known.peak = peak
    known.points += 1
    return None, known
