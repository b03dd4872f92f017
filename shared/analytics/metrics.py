"""Metrics of an account: computed from its state as fractions, then as a record in the wire's units."""

from collections.abc import Mapping

from shared.analytics.exposure import exposure_metrics
from shared.analytics.margin import MarkedPosition, margin_metrics
from shared.analytics.positions import PositionBook
from shared.analytics.risk import risk_low_confidence, risk_metrics
from shared.analytics.state import AccountState
from shared.analytics.value import MetricValue, finite_or_undefined, undefined
from shared.schema.records import Performance, TradeMatching, Undefined
from shared.schema.timestamps import from_epoch_ms
from shared.schema.units import PERCENT, metric_fields

_METRIC_FIELDS = {figure.attribute: figure for figure in metric_fields(Performance)}
_NET_OF_FEES = ("win_rate", "profit_factor", "expectancy", "expectancy_ratio")
_EXPOSURES = ("exposure", "net_exposure", "leverage", "concentration", "open_positions")
_POSITION_PNL = ("realized_pnl", "unrealized_pnl")
_TRADES = (
    *("win_rate", "profit_factor", "expectancy", "expectancy_ratio"),
    *("total_trades", "trades24h", "trades_per_day", "average_trade_duration"),
    "consecutive_losses",
)


def compute_metrics(state: AccountState, rates: Mapping[str, float]) -> dict[str, MetricValue]:
    """Return every metric by attribute of `Performance`, except execution; shares are fractions.

    `rates` are those of now, from the currency of a symbol's contract to the account's, by symbol.
    """
    now = state.head[0]
    reported = state.reported.metrics(state.began, now)
    margin = margin_metrics(
        state.margin_used, state.maintenance_margin, state.equity, _marked_positions(state.book)
    )
    found = {**_pnl(state, rates), **risk_metrics(state, now), **_trading(state, now), **reported, **margin}
    found |= _costs(state)
    book = state.book
    if not book.fills and not book.reports:
        found |= dict.fromkeys(_EXPOSURES, undefined("no_fills"))
    else:
        found |= exposure_metrics(book, _prices(state), rates, state.equity)
    found["position_differences"] = book.differences(now) if book.reports else undefined("no_snapshots")
    if why := _unknown_positions(state):
        found |= dict.fromkeys((*_EXPOSURES, *_POSITION_PNL), why)
        if not state.reported.statistics.n:
            found |= dict.fromkeys(_TRADES, why)
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
        trade_matching=_matching(state),
        **given,  # type: ignore[arg-type]
    )


def _pnl(state: AccountState, rates: Mapping[str, float]) -> dict[str, MetricValue]:
    """Return equity and P&L: total = realised + unrealised = equity - start - net flows."""
    book = state.book
    if state.equity is None:
        return _pnl_from_fills(state, rates)
    if state.unconverted_flows:
        why = dict.fromkeys(
            ("net_flows", "total_pnl", "realized_pnl", "unrealized_pnl"), undefined("no_rate")
        )
        return {"portfolio_value": state.equity, **why}
    total = state.total(state.equity)
    realized: MetricValue = undefined("no_fills")
    unrealized: MetricValue = undefined("no_fills")
    if not book.is_flat():
        realized = book.realized() + state.other
        unrealized = total - realized
    elif book.fills or book.reports:
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


def _pnl_from_fills(state: AccountState, rates: Mapping[str, float]) -> dict[str, MetricValue]:
    """Return P&L at the latest prices, without equity records."""
    book = state.book
    why = undefined("no_equity")
    found: dict[str, MetricValue] = {"portfolio_value": why, "net_flows": why}
    if not book.fills and not book.reports:
        return found | dict.fromkeys(("total_pnl", "realized_pnl", "unrealized_pnl"), why)
    unrealized = book.unrealized(rates)
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


def _costs(state: AccountState) -> dict[str, MetricValue]:
    """Return what trading cost, and how much was traded."""
    book, costs = state.book, state.costs
    fees: MetricValue = undefined("no_fills")
    if book.fills:
        fees = undefined("no_rate", book.fills) if book.unconverted else book.fees
    turnover: MetricValue = undefined("no_equity")
    if state.equity is not None:
        turnover = costs.turnover(state.equity_at - state.equity_began)
    return {
        "fees_paid": fees,
        "funding_paid": book.funding,
        "turnover": turnover if book.fills else undefined("no_fills"),
        "maker_share": costs.maker_share(),
        "cost_share": costs.cost_share(book.fees, book.funding),
    }


def _marked_positions(book: PositionBook) -> list[MarkedPosition]:
    """Return what margin and liquidation need of the open positions."""
    return [
        MarkedPosition(
            held.quantity > 0, held.mark or book.prices.get(held.symbol), held.liquidation_price, held.margin
        )
        for held in book.open_positions()
    ]


def _unknown_positions(state: AccountState) -> Undefined | None:
    """Return why the positions are not known; None if they are."""
    if state.is_opening_unknown:
        return undefined("unknown_opening_position", state.trades.n)
    if state.book.dropped:
        return undefined("too_many_positions", len(state.book.positions))
    return None


def _prices(state: AccountState) -> Mapping[str, float]:
    """Return the prices of open positions; that of a single linear one follows from the change in equity.

    Not if fills came after the latest equity point: it does not include them yet.
    """
    book = state.book
    held_positions = list(book.open_positions())
    if state.equity is None or len(held_positions) != 1 or state.equity_at < book.traded_at:
        return book.prices
    held = held_positions[0]
    contract = book.contract(held.symbol)
    if held.symbol in book.quotes or held.mark or contract.contract_type == "inverse" or not held.rate:
        return book.prices
    worth = held.quantity * contract.multiplier * held.rate  # per unit of price; tiny ones underflow
    gained = state.total(state.equity) - book.realized() - state.other
    return {held.symbol: held.cost + gained / worth} if worth else book.prices


def _low_confidence(state: AccountState) -> list[tuple[str, int]]:
    """Return the metrics computed from few samples, with their number; also P&L without some fees."""
    found = risk_low_confidence(state)
    if state.book.unconverted:
        found.append(("realized_pnl", state.trades.n))
    return found


def _warnings(state: AccountState) -> list[str]:
    """Return what is doubtful about the metrics, by code of `WARNINGS`."""
    book = state.book
    found = {
        "guessed_currency": state.is_guess_doubtful,
        "approximate_return": state.returns.has_approximate(state.head[0]),
        "unknown_opening_position": state.is_opening_unknown,
        "too_many_positions": bool(book.dropped),
        "never_flat": book.never_flat and state.settings.matching is None,
        "learned_lot_size": book.learned_lot,
        "merged_lots": book.merged_lots,
    }
    return [code for code, is_so in found.items() if is_so]


def _matching(state: AccountState) -> TradeMatching | None:
    """Return what counts as a closed trade; None without trades."""
    if state.reported.statistics.n:
        return "reported"
    if not state.book.fills:
        return None
    return state.settings.matching or ("average" if state.book.never_flat else "flat-to-flat")
