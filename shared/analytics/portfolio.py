"""Portfolio: several accounts as one, in one currency, chained over bots that come and go. Pure.

The return of a step is Σ (Eᵢ − flowᵢ) / Σ Eᵢ,prev − 1 over the bots that are there at both of its ends. A bot
that joins is a flow into the portfolio, and one that leaves is a flow out of it: neither is a gain or a loss.
Source: the time-weighted return of the Global Investment Performance Standards (GIPS).
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from shared.analytics.events import MIN_VALUE
from shared.analytics.returns import CONFIDENT_RETURNS, WINDOW, ReturnMoments, sharpe_ratio, volatility
from shared.analytics.value import MetricValue, finite_or_undefined, undefined
from shared.analytics.value_at_risk import TAIL_95, value_at_risk
from shared.schema.records import Undefined

ROUNDING = 1e-12
"""A flow below this share of the equity is rounding noise: the difference of sums."""
ANNUALISATION = 365
"""Days a year: a portfolio may have bots of markets that never close."""


class Holding(NamedTuple):
    """One account at the end of a step, in the portfolio's currency."""

    equity: float
    flow: float = 0.0
    """Deposits minus withdrawals during the step."""


Account = Mapping[int, Holding]
"""One account's holdings by the number of the step; steps without equity are missing."""


class PortfolioPoint(NamedTuple):
    """The portfolio at the end of a step."""

    step: int
    accounts: int
    """How many are there."""
    equity: float
    flow: float
    """Deposits minus withdrawals, and the equity of bots that joined minus that of bots that left."""
    pnl: float
    gain: float | None
    """Return of the step, a fraction; None at the beginning, and after a step that ended without money."""
    growth: float
    """Product of 1 + the returns so far."""
    drawdown: float
    """How far `growth` is below its peak, a fraction."""


def bridge(account: Account, last_step: int, max_gap: int) -> dict[int, Holding]:
    """Give an account its last equity in steps without any, so that it is there until it ends.

    It has ended if its last equity is more than `max_gap` steps before `last_step`.
    """
    if not account:
        return {}
    end = max(account)
    if last_step - end <= max_gap:
        end = last_step
    found: dict[int, Holding] = {}
    known: Holding | None = None
    for step in range(min(account), end + 1):
        known = account.get(step) or (known and Holding(known.equity))
        if known:
            found[step] = known
    return found


def combine(accounts: Iterable[Account]) -> list[PortfolioPoint]:
    """Return the portfolio at the end of each step in which at least one account is there."""
    by_step: dict[int, dict[int, Holding]] = {}
    for number, account in enumerate(accounts):
        for step, holding in account.items():
            by_step.setdefault(step, {})[number] = holding
    points: list[PortfolioPoint] = []
    before: dict[int, Holding] = {}
    growth = peak = 1.0
    for step in sorted(by_step):
        held = by_step[step]
        pnl, gain = _step_result(before, held)
        growth *= max(0.0, 1 + (gain or 0.0))
        peak = max(peak, growth)
        equity = sum(holding.equity for holding in held.values())
        last = sum(holding.equity for holding in before.values())
        fall = (peak - growth) / peak
        flow = equity - last - pnl
        if abs(flow) <= ROUNDING * max(equity, last):
            flow = 0.0
        points.append(PortfolioPoint(step, len(held), equity, flow, pnl, gain, growth, fall))
        before = held
    return points


def _step_result(before: Mapping[int, Holding], held: Mapping[int, Holding]) -> tuple[float, float | None]:
    """Return P&L and return of the accounts that are there at both ends of a step."""
    both = before.keys() & held.keys()
    base = sum(before[number].equity for number in both)
    pnl = sum(held[number].equity - held[number].flow - before[number].equity for number in both)
    return pnl, pnl / base if base > MIN_VALUE else None


def daily_returns(points: Iterable[PortfolioPoint], days: Mapping[int, int]) -> list[float]:
    """Return the chained return of each day, oldest first; `days` has the day of each step.

    The first day has no return: it has no equity of the day before.
    """
    growth: dict[int, float] = {}
    for point in points:
        day = days[point.step]
        growth[day] = growth.get(day, 1.0) * (1 + (point.gain or 0.0))
    return [value - 1 for value in [*growth.values()][1:]]


def portfolio_metrics(points: Sequence[PortfolioPoint], returns: Sequence[float]) -> dict[str, MetricValue]:
    """Return the portfolio's metrics by name: money, fractions and numbers; `returns` are those of days."""
    if not points:
        nothing = undefined("no_equity")
        return dict.fromkeys(METRICS, nothing)
    moments = ReturnMoments()
    for value in returns:
        moments = moments.with_return(value)
    last = points[-1]
    risk = value_at_risk(sorted(returns[-WINDOW:]), TAIL_95)
    return {
        "portfolioValue": last.equity,
        "totalPnL": sum(point.pnl for point in points),
        "netFlows": sum(after.flow for _, after in pairwise(points)),
        "totalReturn": finite_or_undefined(last.growth - 1),
        "currentDrawdown": last.drawdown,
        "maxDrawdown": max(point.drawdown for point in points),
        "sharpeRatio": sharpe_ratio(moments, ANNUALISATION),
        "volatility": volatility(moments, ANNUALISATION),
        "var95": risk,
        "var95Amount": risk * last.equity if isinstance(risk, float) else risk,
    }


METRICS = (
    "portfolioValue", "totalPnL", "netFlows", "totalReturn", "currentDrawdown", "maxDrawdown", "sharpeRatio",
    "volatility", "var95", "var95Amount",
)  # fmt: skip
_PERCENT = {"totalReturn", "currentDrawdown", "maxDrawdown", "volatility", "var95"}
_OF_RETURNS = ("sharpeRatio", "volatility", "var95", "var95Amount")


class PortfolioSummary(NamedTuple):
    """The metrics of a portfolio in the wire's units: shares in percent."""

    metrics: dict[str, float | None]
    undefined: dict[str, Undefined]
    """Why a metric is None."""
    low_confidence: dict[str, int]
    """Metrics of few daily returns, with their number."""
    trading_days: int
    """Number of daily returns."""


def summarise(points: Sequence[PortfolioPoint], returns: Sequence[float]) -> PortfolioSummary:
    """Return the metrics of a portfolio as the API and reports have them."""
    found = portfolio_metrics(points, returns)
    undefined_ones = {name: value for name, value in found.items() if isinstance(value, Undefined)}
    few = 0 < len(returns) < CONFIDENT_RETURNS
    return PortfolioSummary(
        {
            name: None if isinstance(value, Undefined) else value * (100 if name in _PERCENT else 1)
            for name, value in found.items()
        },
        undefined_ones,
        {name: len(returns) for name in _OF_RETURNS if few and name not in undefined_ones},
        len(returns),
    )
