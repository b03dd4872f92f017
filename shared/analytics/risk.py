"""Risk figures of an account: ratios, moments, value at risk and drawdown, as fractions."""

from shared.analytics.benchmark import alpha, beta, information_ratio
from shared.analytics.drawdown import Drawdown
from shared.analytics.returns import (
    CONFIDENT_RETURNS,
    Returns,
    annual_return,
    calmar_ratio,
    kurtosis,
    sharpe_ratio,
    skewness,
    sortino_ratio,
    volatility,
)
from shared.analytics.state import AccountState
from shared.analytics.trades import DAY_MS
from shared.analytics.value import MetricValue, undefined
from shared.analytics.value_at_risk import (
    CONFIDENT_99,
    TAIL_95,
    TAIL_99,
    expected_shortfall,
    parametric_var,
    tail_ratio,
    value_at_risk,
)

_RATIOS = (
    *("sharpe_ratio", "sortino_ratio", "calmar_ratio", "annual_return", "volatility"),
    *("skewness", "kurtosis", "tail_ratio"),
    *("var95", "var95_amount", "cvar95", "cvar95_amount", "parametric_var95"),
)
_TAILS_99 = ("var99", "var99_amount", "parametric_var99")
_BENCHMARKS = ("beta", "alpha", "information_ratio")
_DRAWDOWNS = (
    *("max_drawdown", "current_drawdown", "drawdown_duration", "longest_drawdown"),
    *("time_under_water", "ulcer_index", "recovery_factor"),
)


def risk_metrics(state: AccountState, now: int) -> dict[str, MetricValue]:
    """Return the risk figures at `now` (epoch milliseconds) by attribute of `Performance`."""
    if state.equity is None:
        why: MetricValue = undefined("no_equity")
        return dict.fromkeys(("trading_days", *_RATIOS, *_TAILS_99, *_BENCHMARKS, *_DRAWDOWNS), why)
    total = undefined("no_rate") if state.unconverted_flows else state.total(state.equity)
    days = (state.equity_at - state.equity_began) / DAY_MS
    return {
        **_ratios(state.returns, state.settings.annualisation, days, state.drawdown.maximum()),
        **_drawdown(state.drawdown, now, total),
        **_values_at_risk(state.returns.latest(), state.equity),
        **_benchmark(state),
    }


def risk_low_confidence(state: AccountState) -> list[tuple[str, int]]:
    """Return the risk figures computed from few daily returns, with their number."""
    n = state.returns.count()
    found = [(name, n) for name in _RATIOS if n < CONFIDENT_RETURNS]
    found += [(name, n) for name in _TAILS_99 if n < CONFIDENT_99]
    pairs = state.benchmark.moments(state.returns.current()).n
    return found + [(name, pairs) for name in _BENCHMARKS if pairs < CONFIDENT_RETURNS]


def _ratios(
    returns: Returns, annualisation: int, days: float, max_drawdown: MetricValue
) -> dict[str, MetricValue]:
    moments = returns.moments()
    annual = annual_return(moments, annualisation, days)
    return {
        "trading_days": moments.n,
        "sharpe_ratio": sharpe_ratio(moments, annualisation),
        "sortino_ratio": sortino_ratio(moments, annualisation),
        "volatility": volatility(moments, annualisation),
        "annual_return": annual,
        "calmar_ratio": calmar_ratio(annual, max_drawdown),
        "skewness": skewness(moments),
        "kurtosis": kurtosis(moments),
    }


def _benchmark(state: AccountState) -> dict[str, MetricValue]:
    if state.benchmark.symbol is None:
        return dict.fromkeys(_BENCHMARKS, undefined("no_benchmark"))
    moments, annualisation = state.benchmark.moments(state.returns.current()), state.settings.annualisation
    return {
        "beta": beta(moments),
        "alpha": alpha(moments, annualisation),
        "information_ratio": information_ratio(moments, annualisation),
    }


def _drawdown(drawdown: Drawdown, now: int, total_pnl: MetricValue) -> dict[str, MetricValue]:
    return {
        "max_drawdown": drawdown.maximum(),
        "current_drawdown": drawdown.current(),
        "drawdown_duration": drawdown.duration(now),
        "longest_drawdown": drawdown.longest(now),
        "time_under_water": drawdown.time_under_water(now),
        "ulcer_index": drawdown.ulcer_index(),
        "recovery_factor": drawdown.recovery_factor(total_pnl),
    }


def _values_at_risk(returns: list[float], equity: float) -> dict[str, MetricValue]:
    ordered = sorted(returns)
    found = {
        "var95": value_at_risk(ordered, TAIL_95),
        "var99": value_at_risk(ordered, TAIL_99),
        "cvar95": expected_shortfall(ordered, TAIL_95),
    }
    amounts = {
        f"{name}_amount": share * equity if isinstance(share, float) else share
        for name, share in found.items()
    }
    return {
        **found,
        **amounts,
        "parametric_var95": parametric_var(returns, TAIL_95),
        "parametric_var99": parametric_var(returns, TAIL_99),
        "tail_ratio": tail_ratio(ordered),
    }
