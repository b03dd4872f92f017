"""Definitions of all performance metrics: shown on the page, in Grafana and in docs/metrics.md.

`shared.analytics` computes by these definitions; a bot that reports a metric itself may use its own.
"""

from typing import NamedTuple

DEFAULT, SIGNED, COUNT = "", "signed", "count"


class MetricDefinition(NamedTuple):
    """A metric: its name on the wire and its label, its source, and when it is undefined."""

    wire: str
    label: str
    source: str
    text: str
    undefined: str
    style: str = DEFAULT
    """Its notation if the unit does not imply it: with a sign, or as a whole number."""


class MetricFamilyDefinition(NamedTuple):
    """A family of metrics."""

    title: str
    figures: tuple[MetricDefinition, ...]
    doubt: str = ""
    """The text for low confidence in these metrics; `{n}` is the number of samples."""


_NO_EQUITY = "no equity yet"
_NEVER_WORTH = "no equity above zero yet"
_TWO_RETURNS = "fewer than two daily returns"
_NO_FILLS = "no fill yet"
_NO_TRADES = "no closed trade, or fees without a rate"
_NO_LOSSES = "no losing trade, or fees without a rate"
_NO_ENDED = "no order has ended"
_NO_EXPOSURE = "no fill yet, or no equity above zero"
_NO_SLIPPAGE = "no filled order with a decision price or a quote"
_NO_LATENCY = "no order with both timestamps"
_NO_PROFIT = "no winning trade, or an amount without a rate"
_NO_BENCHMARK = "fewer than two daily returns with a price of the benchmark"
_FEW_RETURNS = "Low confidence: only {n} daily returns."
_FEES_LEFT_OUT = "Fees in a currency without a rate are not included; closed trades so far: {n}."


def _latency(stem: str, label: str, text: str) -> tuple[MetricDefinition, ...]:
    return tuple(
        MetricDefinition(
            f"{stem}P{share}Ms",
            f"{label} p{share}",
            "orders, fills",
            f"{text}, of the latest 1,000 orders: {share}% take at most this long.",
            _NO_LATENCY,
        )
        for share in (50, 95, 99)
    )


def _slippage(share: int) -> MetricDefinition:
    text = f"{share}% of the latest 1,000 orders have at most this slippage from the decision price."
    return MetricDefinition(f"slippageP{share}Bps", f"Slippage p{share}", "orders, fills", text, _NO_SLIPPAGE)


PROFIT = MetricFamilyDefinition(
    "P&L",
    (
        MetricDefinition(
            "portfolioValue", "Portfolio value", "equity", "The account's latest equity.", _NO_EQUITY
        ),
        MetricDefinition(
            "totalPnL", "Total P&L", "equity, fills",
            "Realised plus unrealised P&L: the equity minus start equity minus net flows.",
            "neither equity nor a fill yet", SIGNED,
        ),
        MetricDefinition(
            "realizedPnL", "Realised P&L", "fills",
            "P&L of closed positions, at average cost per symbol, net of fees and funding.",
            _NO_FILLS, SIGNED,
        ),
        MetricDefinition(
            "unrealizedPnL", "Unrealised P&L", "equity, fills",
            "P&L of open positions, marked to market.", _NO_FILLS, SIGNED,
        ),
        MetricDefinition(
            "netFlows", "Net flows", "equity",
            "Deposits minus withdrawals since the start.", _NO_EQUITY, SIGNED,
        ),
        MetricDefinition("feesPaid", "Fees", "fills", "Fees of all fills.", _NO_FILLS),
        MetricDefinition(
            "fundingPaid", "Funding", "funding",
            "Funding, swap and interest: paid minus received.", "never", SIGNED,
        ),
    ),
    _FEES_LEFT_OUT,
)  # fmt: skip

RISK = MetricFamilyDefinition(
    "Returns and risk",
    (
        MetricDefinition(
            "sharpeRatio", "Sharpe", "equity",
            "Mean over standard deviation (n - 1) of daily returns, times the root of the trading days a "
            "year; risk-free rate 0.", "fewer than two daily returns, or none that differ",
        ),
        MetricDefinition(
            "sortinoRatio", "Sortino", "equity",
            "Mean daily return over the root mean square of the losing ones (all days counted), times the "
            "root of the trading days a year.", "fewer than two daily returns, or no losing one",
        ),
        MetricDefinition(
            "calmarRatio", "Calmar", "equity",
            "Annual return over the maximum drawdown.", "under 30 days, or no drawdown yet",
        ),
        MetricDefinition(
            "annualReturn", "Annual return", "equity",
            "Compound growth of the daily returns, extrapolated to a year.", "under 30 days", SIGNED,
        ),
        MetricDefinition(
            "volatility", "Volatility", "equity",
            "Standard deviation (n - 1) of daily returns, times the root of the trading days a year.",
            _TWO_RETURNS,
        ),
        MetricDefinition(
            "tradingDays", "Daily returns", "equity",
            "Number of daily returns: last equity of a day over that of the day before, chained at deposits "
            "and withdrawals; the current day counts so far.", _NO_EQUITY, COUNT,
        ),
        MetricDefinition(
            "skewness", "Skewness", "equity",
            "Sample skewness (g1) of daily returns: negative where large losses are more likely than large "
            "gains.", "fewer than three daily returns, or none that differ", SIGNED,
        ),
        MetricDefinition(
            "kurtosis", "Excess kurtosis", "equity",
            "Excess kurtosis (g2) of daily returns: 0 for a normal distribution, higher with fat tails.",
            "fewer than four daily returns, or none that differ", SIGNED,
        ),
        MetricDefinition(
            "tailRatio", "Tail ratio", "equity",
            "95th percentile of the last 365 daily returns over the 5th, without signs.",
            "fewer than two daily returns, or a 5th percentile of 0",
        ),
        MetricDefinition(
            "beta", "Beta", "equity, prices",
            "Covariance of daily returns with the benchmark's over the benchmark's variance.",
            _NO_BENCHMARK, SIGNED,
        ),
        MetricDefinition(
            "alpha", "Alpha", "equity, prices",
            "Mean daily return minus beta times the benchmark's, times the trading days a year.",
            _NO_BENCHMARK, SIGNED,
        ),
        MetricDefinition(
            "informationRatio", "Information ratio", "equity, prices",
            "Mean over standard deviation (n - 1) of the daily returns minus the benchmark's, times the root "
            "of the trading days a year.", _NO_BENCHMARK, SIGNED,
        ),
    ),
    _FEW_RETURNS,
)  # fmt: skip

DRAWDOWN = MetricFamilyDefinition(
    "Drawdown",
    (
        MetricDefinition(
            "currentDrawdown", "Drawdown now", "equity",
            "How far the equity is below its peak, as a share of the peak; deposits and withdrawals are "
            "excluded.", _NEVER_WORTH,
        ),
        MetricDefinition(
            "maxDrawdown", "Drawdown max", "equity",
            "The deepest drawdown so far, at every equity point and from the start equity on.", _NEVER_WORTH,
        ),
        MetricDefinition(
            "drawdownDuration", "Below the peak for", "equity",
            "Time since the last peak; 0 at a peak.", _NEVER_WORTH,
        ),
        MetricDefinition(
            "longestDrawdown", "Longest drawdown", "equity",
            "The longest time from a peak until it was reached again; the open one counts.", _NEVER_WORTH,
        ),
        MetricDefinition(
            "timeUnderWater", "Time under water", "equity",
            "Share of the time since the first equity that lies between a peak and its recovery.",
            "no equity above zero yet, or only one point",
        ),
        MetricDefinition(
            "ulcerIndex", "Ulcer index", "equity",
            "Root mean square of the drawdown at the end of each day.", _NEVER_WORTH,
        ),
        MetricDefinition(
            "recoveryFactor", "Recovery factor", "equity",
            "Total P&L over the deepest drawdown in money.", "no drawdown yet", SIGNED,
        ),
    ),
)  # fmt: skip

VALUE_AT_RISK = MetricFamilyDefinition(
    "Value at risk",
    (
        MetricDefinition(
            "var95",
            "VaR 95%",
            "equity",
            "One day's loss that 95% of the last 365 daily returns stay under (historical).",
            _TWO_RETURNS,
        ),
        MetricDefinition(
            "var99",
            "VaR 99%",
            "equity",
            "One day's loss that 99% of the last 365 daily returns stay under (historical).",
            _TWO_RETURNS,
        ),
        MetricDefinition(
            "cvar95",
            "CVaR 95%",
            "equity",
            "The mean of the worst 5% of the last 365 daily returns, as a loss.",
            _TWO_RETURNS,
        ),
        MetricDefinition(
            "parametricVar95",
            "Parametric VaR 95%",
            "equity",
            "One day's loss at 95%, were daily returns normally distributed.",
            _TWO_RETURNS,
        ),
        MetricDefinition(
            "parametricVar99",
            "Parametric VaR 99%",
            "equity",
            "One day's loss at 99%, were daily returns normally distributed.",
            _TWO_RETURNS,
        ),
        MetricDefinition("var95Amount", "VaR 95% in money", "equity", "VaR 95% of the equity.", _TWO_RETURNS),
        MetricDefinition("var99Amount", "VaR 99% in money", "equity", "VaR 99% of the equity.", _TWO_RETURNS),
        MetricDefinition(
            "cvar95Amount", "CVaR 95% in money", "equity", "CVaR 95% of the equity.", _TWO_RETURNS
        ),
    ),
    _FEW_RETURNS,
)

TRADES = MetricFamilyDefinition(
    "Trades",
    (
        MetricDefinition(
            "totalTrades", "Trades", "fills",
            "Closed trades, as `tradeMatching` counts them: by default from flat to flat, or to the other "
            "side.", _NO_FILLS, COUNT,
        ),
        MetricDefinition(
            "winRate", "Win rate", "fills",
            "Share of closed trades with a profit; break-even trades are not wins.", _NO_TRADES,
        ),
        MetricDefinition(
            "profitFactor", "Profit factor", "fills",
            "Money won by winning trades over money lost by losing ones.", _NO_LOSSES,
        ),
        MetricDefinition(
            "expectancy", "Expectancy", "fills", "Mean P&L of a closed trade.", _NO_TRADES, SIGNED
        ),
        MetricDefinition(
            "expectancyRatio", "Expectancy ratio", "fills",
            "(1 + mean win / mean loss) · win rate - 1: what a trade wins per unit at risk.",
            _NO_LOSSES, SIGNED,
        ),
        MetricDefinition(
            "trades24h", "Trades in 24 h", "fills", "Closed in the last 24 hours.", _NO_FILLS, COUNT,
        ),
        MetricDefinition(
            "tradesPerDay", "Trades a day", "fills",
            "Closed trades over the days since the bot's first event.", "within the first day",
        ),
        MetricDefinition(
            "averageTradeDuration", "Average trade", "fills",
            "Mean time from opening a trade to closing it.", "no closed trade",
        ),
        MetricDefinition(
            "consecutiveLosses", "Losses in a row", "fills",
            "Losing trades since the last one that was not a loss.", _NO_TRADES, COUNT,
        ),
        MetricDefinition(
            "costShare", "Cost share", "fills, funding",
            "Fees, slippage and funding paid, of the P&L of winning trades before fees and funding.",
            _NO_PROFIT,
        ),
        MetricDefinition(
            "tradeDifferences", "Trade differences", "trades, fills",
            "Reported closed trades of the last 24 hours that the fills do not confirm.",
            "no reported trade", COUNT,
        ),
    ),
    _FEES_LEFT_OUT,
)  # fmt: skip

EXECUTION = MetricFamilyDefinition(
    "Execution",
    (
        MetricDefinition("totalOrders", "Orders", "orders", "All orders so far.", "never", COUNT),
        MetricDefinition(
            "fillRate", "Fill rate", "orders",
            "Share of filled orders in the latest 1,000 closed orders.", _NO_ENDED,
        ),
        MetricDefinition(
            "quantityFillRate", "Quantity filled", "orders, fills",
            "Quantity filled, of the quantity ordered, over the latest 1,000 orders that ended.", _NO_ENDED,
        ),
        MetricDefinition(
            "rejectRate", "Reject rate", "orders",
            "Share of rejected orders in the latest 1,000.", "no order yet",
        ),
        MetricDefinition(
            "slippageBps", "Slippage", "orders, fills",
            "Mean, over the latest 1,000 orders, of the average price paid against the price decided on, "
            "else quoted; positive is cost.", _NO_SLIPPAGE,
        ),
        _slippage(50),
        _slippage(95),
        _slippage(99),
        MetricDefinition(
            "orderLatencyMs", "Order latency", "orders",
            "Mean time from submitted to acknowledged, of the latest 1,000 orders.", _NO_LATENCY,
        ),
        *_latency("orderLatency", "Order latency", "From submitted to acknowledged"),
        *_latency("firstFillLatency", "First fill", "From acknowledged to the first fill"),
        *_latency("lastFillLatency", "Last fill", "From submitted to the last fill"),
        *_latency("cancelLatency", "Cancel latency", "From submitted to cancelled"),
        MetricDefinition(
            "droppedLatencies", "Latencies dropped", "orders, fills",
            "Negative latencies, left out: their timestamps come from different clocks.", "never", COUNT,
        ),
        MetricDefinition(
            "makerShare", "Maker share", "fills",
            "Share of the traded notional that was filled as maker.", "no fill with `liquidity`",
        ),
        MetricDefinition(
            "turnover", "Turnover", "fills, equity",
            "Traded notional over the mean equity, per day.", "within the first day, or no equity above zero",
        ),
    ),
)  # fmt: skip

EXPOSURE = MetricFamilyDefinition(
    "Exposure",
    (
        MetricDefinition(
            "exposure", "Exposure", "equity, fills",
            "Gross notional of open positions, at the latest prices, over the equity.", _NO_EXPOSURE,
        ),
        MetricDefinition(
            "netExposure", "Net exposure", "equity, fills",
            "Long minus short notional over the equity.", _NO_EXPOSURE, SIGNED,
        ),
        MetricDefinition(
            "leverage", "Leverage", "equity, fills",
            "Gross notional over the equity, as a multiple.", _NO_EXPOSURE,
        ),
        MetricDefinition(
            "openPositions", "Open positions", "fills, positions", "Positions that are open.",
            "neither a fill nor a position yet", COUNT,
        ),
        MetricDefinition(
            "concentration", "Concentration", "fills, positions",
            "Notional of the largest symbol, of the gross notional of all.", "no open position",
        ),
        MetricDefinition(
            "marginUsed", "Margin used", "equity, positions",
            "Initial margin of all open positions, as reported.", "no margin reported",
        ),
        MetricDefinition(
            "marginRatio", "Margin ratio", "equity",
            "Maintenance margin over the equity: at 100% positions are liquidated.",
            "no `maintenanceMargin` reported, or no equity above zero",
        ),
        MetricDefinition(
            "liquidationDistance", "To liquidation", "positions",
            "How far the price may move before the first position is liquidated, as a share of the price.",
            "no open position with a liquidation price",
        ),
        MetricDefinition(
            "positionDifferences", "Position differences", "positions, fills",
            "Positions whose quantity differed from the broker's within the last hour.",
            "no `position` record", COUNT,
        ),
    ),
)  # fmt: skip

FAMILIES = (PROFIT, RISK, DRAWDOWN, VALUE_AT_RISK, TRADES, EXECUTION, EXPOSURE)
DEFINITIONS = {figure.wire: figure for family in FAMILIES for figure in family.figures}
"""Every metric by its name on the wire; `disagreements` is a count of metrics, not one itself."""
