"""Metrics of an account: computed from its state as fractions, then as a record in the wire's units."""

from collections.abc import Mapping

from shared.analytics.exposure import exposure_metrics
from shared.analytics.margin import margin_metrics
from shared.analytics.risk import risk_low_confidence, risk_metrics
from shared.analytics.state import AccountState
from shared.analytics.value import MetricValue, finite_or_undefined, undefined
from shared.schema.records import Performance, Undefined
from shared.schema.timestamps import from_epoch_ms
from shared.schema.units import PERCENT, metric_fields

_METRIC_FIELDS = {figure.attribute: figure for figure in metric_fields(Performance)}
_NET_OF_FEES = ("win_rate", "profit_factor", "expectancy", "expectancy_ratio")
_EXPOSURES = ("exposure", "net_exposure", "leverage")
_TRADES = (
    *("win_rate", "profit_factor", "expectancy", "expectancy_ratio"),
    *("total_trades", "trades24h", "trades_per_day", "average_trade_duration"),
)


def compute_metrics(state: AccountState) -> dict[str, MetricValue]:
    """Return every metric by attribute of `Performance`, except execution; shares are fractions."""
    now = state.head[0]
    reported = state.reported.metrics(state.began, now)
    margin = margin_metrics(state.margin_used, state.maintenance_margin, state.equity, ())
    found = {**_pnl(state), **risk_metrics(state, now), **_trading(state, now), **reported, **margin}
    if state.book.fills:
        found |= exposure_metrics(state.book.positions, _prices(state), state.equity)
    else:
        found |= dict.fromkeys(_EXPOSURES, undefined("no_fills"))
    if state.differences is not None:
        found["disagreements"] = sum(name in state.differences for name in state.differed)
    return found


def performance_record(bot: str, state: AccountState, found: Mapping[str, MetricValue]) -> Performance:
    """Return the metrics `found` as a computed record of `bot` at the latest event, in the wire's units."""
    given: dict[str, float] = {}
    missing: dict[str, Undefined] = {}
    for name, value in found.items():
        checked = finite_or_undefined(value)
        if isinstance(checked, Undefined):
            missing[_METRIC_FIELDS[name].wire] = checked
        else:
            given[name] = checked * 100 if _METRIC_FIELDS[name].unit is PERCENT else checked
    return Performance(
        bot=bot,
        timestamp=from_epoch_ms(state.head[0]),
        source="computed",
        currency=state.account_currency(),
        warnings=_warnings(state),
        undefined=missing,
        low_confidence={_METRIC_FIELDS[name].wire: n for name, n in _low_confidence(state) if name in given},
        differences=state.differences or {},
        benchmark=state.benchmark.symbol,
        warnings=_warnings(state),
        **given,  # type: ignore[arg-type]
    )


def _warnings(state: AccountState) -> list[str]:
    """Return what is doubtful about the metrics, by code of `WARNINGS`."""
    return ["guessed_currency"] if state.is_guess_doubtful else []


def _pnl(state: AccountState) -> dict[str, MetricValue]:
    """Return equity and P&L: total = realised + unrealised = equity - start - net flows."""
    book = state.book
    if state.equity is None:
        return _pnl_from_fills(state)
    if state.unconverted_flows:
        why = dict.fromkeys(
            ("net_flows", "total_pnl", "realized_pnl", "unrealized_pnl"), undefined("no_rate")
        )
        return {"portfolio_value": state.equity, **why}
    total = state.total(state.equity)
    realized: MetricValue = undefined("no_fills")
    unrealized: MetricValue = undefined("no_fills")
    if book.positions:
        realized = book.realized() + state.other
        unrealized = total - realized
    elif book.fills:
        realized, unrealized = total, 0.0
    elif state.unrealized is not None:
        realized, unrealized = total - state.unrealized, state.unrealized
    return {
        "portfolio_value": state.equity,
        "net_flows": state.flows,
        "total_pnl": total,
        "realized_pnl": realized,
        "unrealized_pnl": unrealized,
    }


def _pnl_from_fills(state: AccountState) -> dict[str, MetricValue]:
    """Return P&L at the latest prices, without equity records."""
    book = state.book
    why = undefined("no_equity")
    found: dict[str, MetricValue] = {"portfolio_value": why, "net_flows": why}
    if not book.fills:
        return found | dict.fromkeys(("total_pnl", "realized_pnl", "unrealized_pnl"), why)
    unrealized = book.unrealized()
    realized: MetricValue = undefined("no_rate", book.fills) if book.unconverted else book.realized()
    total = realized + unrealized if isinstance(realized, float) else realized
    return found | {"total_pnl": total, "realized_pnl": realized, "unrealized_pnl": unrealized}


def _trading(state: AccountState, now: int) -> dict[str, MetricValue]:
    trades = state.trades
    if not state.book.fills:
        return dict.fromkeys(_TRADES, undefined("no_fills"))
    found = trades.metrics(state.began, now)
    if trades.n and state.book.unconverted:
        found |= dict.fromkeys(_NET_OF_FEES, undefined("no_rate", trades.n))
    return found


def _prices(state: AccountState) -> Mapping[str, float]:
    """Return the prices of open positions; that of a single one follows from the change in equity.

    Not if fills came after the latest equity point: it does not include them yet.
    """
    book = state.book
    if state.equity is None or len(book.positions) != 1 or state.equity_at < book.traded_at:
        return book.prices
    symbol, held = next(iter(book.positions.items()))
    if symbol in book.quotes:
        return book.prices
    gained = state.total(state.equity) - book.realized() - state.other
    return {symbol: held.cost + gained / held.quantity}


def _low_confidence(state: AccountState) -> list[tuple[str, int]]:
    """Return the metrics computed from few samples, with their number; also P&L without some fees."""
    found = risk_low_confidence(state)
    if state.book.unconverted:
        found.append(("realized_pnl", state.trades.n))
    return found


def _warnings(state: AccountState) -> list[str]:
    """Return what is doubtful about the metrics, by code of `WARNINGS`."""
    return ["approximate_return"] if state.returns.has_approximate(state.head[0]) else []
