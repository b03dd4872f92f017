"""What each figure of a performance record means: shown on the page, in Grafana and in docs/metrics.md.

`shared.analytics` computes by these definitions; a bot that reports a figure itself may have its own.
"""

from typing import NamedTuple

DEFAULT, SIGNED, COUNT = "", "signed", "count"


class Definition(NamedTuple):
    """A figure: its name on the wire and in words, what it is made of, and when it is undefined."""

    wire: str
    label: str
    source: str
    text: str
    undefined: str
    style: str = DEFAULT
    """How it is written where the unit alone does not say: with a sign, or as a whole number."""


class Family(NamedTuple):
    """Figures that belong together."""

    title: str
    figures: tuple[Definition, ...]


_NO_EQUITY = "no equity yet"
_RATIO = "fewer than two daily returns, or none that differ"
_ONE_RETURN = "no daily return yet"
_TWO_RETURNS = "fewer than two daily returns"
_NO_TRADES = "no closed trade"
_NO_ORDERS = "no order has ended"
_NOT_POSITIVE = "no equity yet, or none above zero"
_NO_SLIPPAGE = "no fill whose order has a decision price"


def _latency(stem: str, label: str, text: str) -> tuple[Definition, ...]:
    return tuple(
        Definition(
            f"{stem}P{share}Ms",
            f"{label} p{share}",
            "orders, fills",
            f"{text}: {share} % of orders take at most so long.",
            "no order with both moments",
        )
        for share in (50, 95, 99)
    )


def _slippage(share: int) -> Definition:
    text = f"{share} % of orders cost at most so much against the price decided on."
    return Definition(f"slippageP{share}Bps", f"Slippage p{share}", "orders, fills", text, _NO_SLIPPAGE)


PROFIT = Family(
    "P&L",
    (
        Definition("portfolioValue", "Portfolio value", "equity", "The account's latest equity.", _NO_EQUITY),
        Definition(
            "totalPnL", "Total P&L", "equity, fills",
            "Realised plus unrealised P&L; it equals equity minus start minus net flows.",
            "no equity and no fill yet", SIGNED,
        ),
        Definition(
            "realizedPnL", "Realised P&L", "fills",
            "Of what was closed, at average cost per symbol, net of fees.", "no fill yet", SIGNED,
        ),
        Definition(
            "unrealizedPnL", "Unrealised P&L", "equity, fills",
            "Of what is open, marked to market.", "no equity and no fill yet", SIGNED,
        ),
        Definition(
            "netFlows", "Net flows", "equity",
            "Deposits minus withdrawals since the start.", _NO_EQUITY, SIGNED,
        ),
    ),
)  # fmt: skip

RISK = Family(
    "Returns and risk",
    (
        Definition(
            "sharpeRatio", "Sharpe", "equity",
            "Mean over standard deviation (n - 1) of daily returns, times the root of the trading days a "
            "year; risk-free rate 0.", _RATIO,
        ),
        Definition(
            "sortinoRatio", "Sortino", "equity",
            "Mean daily return over the root mean square of the losing ones (all days counted), times the "
            "root of the trading days a year.", "fewer than two daily returns, or no losing one",
        ),
        Definition(
            "calmarRatio", "Calmar", "equity",
            "Compound annual growth over the maximum drawdown.", "under 30 days, or no drawdown yet",
        ),
        Definition(
            "annualReturn", "Annual return", "equity",
            "Compound growth of the daily returns, as of one year.", _ONE_RETURN, SIGNED,
        ),
        Definition(
            "volatility", "Volatility", "equity",
            "Standard deviation (n - 1) of daily returns, times the root of the trading days a year.",
            _TWO_RETURNS,
        ),
        Definition(
            "tradingDays", "Daily returns", "equity",
            "How many daily returns these figures are made of: last equity of each day over that of the day "
            "before, without deposits and withdrawals.", "never", COUNT,
        ),
    ),
)  # fmt: skip

DRAWDOWN = Family(
    "Drawdown",
    (
        Definition(
            "currentDrawdown", "Drawdown now", "equity",
            "How far the equity is below its peak, as a share of the peak.", _NOT_POSITIVE,
        ),
        Definition(
            "maxDrawdown", "Drawdown max", "equity",
            "The deepest drawdown so far, at every equity point and from the start equity on.", _NOT_POSITIVE,
        ),
        Definition(
            "drawdownDuration", "Below the peak for", "equity", "Time since the last peak.", _NO_EQUITY
        ),
        Definition(
            "longestDrawdown", "Longest drawdown", "equity",
            "The longest time below a peak; the drawdown that is still open counts.", _NO_EQUITY,
        ),
    ),
)  # fmt: skip

VALUE_AT_RISK = Family(
    "Value at risk",
    (
        Definition(
            "var95", "VaR 95 %", "equity",
            "One day's loss that 95 % of the last 365 daily returns stay under (historical).", _ONE_RETURN,
        ),
        Definition(
            "var99", "VaR 99 %", "equity",
            "One day's loss that 99 % of the last 365 daily returns stay under (historical).", _ONE_RETURN,
        ),
        Definition(
            "cvar95", "CVaR 95 %", "equity",
            "The mean of the worst 5 % of the last 365 daily returns, as a loss.", _ONE_RETURN,
        ),
        Definition(
            "parametricVar95", "Parametric VaR 95 %", "equity",
            "One day's loss at 95 %, were daily returns normally distributed.", _TWO_RETURNS,
        ),
        Definition(
            "parametricVar99", "Parametric VaR 99 %", "equity",
            "One day's loss at 99 %, were daily returns normally distributed.", _TWO_RETURNS,
        ),
        Definition("var95Amount", "VaR 95 % in money", "equity", "VaR 95 % of the equity.", _ONE_RETURN),
        Definition("var99Amount", "VaR 99 % in money", "equity", "VaR 99 % of the equity.", _ONE_RETURN),
        Definition("cvar95Amount", "CVaR 95 % in money", "equity", "CVaR 95 % of the equity.", _ONE_RETURN),
    ),
)  # fmt: skip

TRADES = Family(
    "Trades",
    (
        Definition(
            "totalTrades", "Trades", "fills",
            "Closed round trips: from flat to flat, or to the other side.", "no fill yet", COUNT,
        ),
        Definition(
            "winRate", "Win rate", "fills",
            "Closed trades with a profit, of all closed trades; break-even ones are no wins.", _NO_TRADES,
        ),
        Definition(
            "profitFactor", "Profit factor", "fills",
            "Money won by winning trades over money lost by losing ones.", "no closed trade has lost",
        ),
        Definition("expectancy", "Expectancy", "fills", "Mean P&L of a closed trade.", _NO_TRADES, SIGNED),
        Definition(
            "expectancyRatio", "Expectancy ratio", "fills",
            "(1 + mean win / mean loss) · win rate - 1: what a trade wins per unit at risk.",
            "no closed trade has lost", SIGNED,
        ),
        Definition(
            "trades24h", "Trades in 24 h", "fills", "Closed in the last 24 hours.", "no fill yet", COUNT,
        ),
        Definition(
            "tradesPerDay", "Trades a day", "fills",
            "Closed trades over the days since the bot's first event.", "no time has passed yet",
        ),
        Definition(
            "averageTradeDuration", "Average trade", "fills",
            "Mean time from a trade's first fill to its last.", _NO_TRADES,
        ),
    ),
)  # fmt: skip

EXECUTION = Family(
    "Execution",
    (
        Definition("totalOrders", "Orders", "orders", "Orders submitted.", "never", COUNT),
        Definition("fillRate", "Fill rate", "orders", "Filled orders, of those that ended.", _NO_ORDERS),
        Definition(
            "quantityFillRate", "Quantity filled", "orders, fills",
            "Quantity filled, of the quantity ordered, over orders that ended.", _NO_ORDERS,
        ),
        Definition(
            "rejectRate", "Reject rate", "orders", "Rejected orders, of those submitted.", "no order yet"
        ),
        Definition(
            "slippageBps", "Slippage", "orders, fills",
            "Mean of an order's average price against the price decided on; positive is cost.", _NO_SLIPPAGE,
        ),
        _slippage(50),
        _slippage(95),
        _slippage(99),
        Definition(
            "orderLatencyMs", "Order latency", "orders",
            "Mean time from submitted to acknowledged.", "no order with both moments",
        ),
        *_latency("orderLatency", "Order latency", "From submitted to acknowledged"),
        *_latency("firstFillLatency", "First fill", "From acknowledged to the first fill"),
        *_latency("lastFillLatency", "Last fill", "From submitted to the last fill"),
        *_latency("cancelLatency", "Cancel latency", "From submitted to cancelled"),
        Definition(
            "droppedLatencies", "Latencies dropped", "orders, fills",
            "Negative ones, left out: more than one clock was at work.", "never", COUNT,
        ),
    ),
)  # fmt: skip

EXPOSURE = Family(
    "Exposure",
    (
        Definition(
            "exposure", "Exposure", "equity, fills",
            "Gross notional of what is open over the equity.", _NOT_POSITIVE,
        ),
        Definition(
            "netExposure", "Net exposure", "equity, fills",
            "Long minus short notional over the equity.", _NOT_POSITIVE, SIGNED,
        ),
        Definition(
            "leverage", "Leverage", "equity, fills",
            "Gross notional over the equity, as a multiple.", _NOT_POSITIVE,
        ),
    ),
)  # fmt: skip

FAMILIES = (PROFIT, RISK, DRAWDOWN, VALUE_AT_RISK, TRADES, EXECUTION, EXPOSURE)
DEFINITIONS = {figure.wire: figure for family in FAMILIES for figure in family.figures}
"""Every figure by its name on the wire; `disagreements` is a count of these, and no figure itself."""
