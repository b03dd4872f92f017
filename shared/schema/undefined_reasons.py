"""Why a metric has no value: the codes of `Undefined.reason`, each with a sentence."""

from shared.schema.records import Undefined

REASONS = {
    "no_equity": "No equity has been reported yet.",
    "no_fills": "No fill has been reported yet.",
    "no_trades": "No trade has been closed yet.",
    "no_losses": "No losing trade or return yet to divide by.",
    "no_orders": "No order has been reported yet.",
    "no_closed_orders": "No order has ended yet; orders so far: {n}.",
    "no_latencies": "No order has both timestamps yet.",
    "no_reference_price": "No filled order has a decision price or a quote to compare with.",
    "no_variation": "The daily returns do not vary: the ratio would divide by zero.",
    "no_drawdown": "No drawdown yet to divide by.",
    "not_positive_equity": "The equity is not above zero.",
    "too_few_returns": "Too few daily returns so far: {n}.",
    "too_short": "The history is too short to extrapolate.",
    "too_large": "The value is too large to be meaningful.",
    "no_rate": "An amount in another currency has no rate yet: send the pair's price as a metric with the "
    'unit "price".',
    "no_benchmark": "No benchmark: the bot does not trade exactly one symbol, and `benchmark` is not set.",
    "no_benchmark_prices": "Too few daily returns with a price of the benchmark so far: {n}.",
    "unknown_opening_position": "The fills contradict the equity: a position was held before the first "
    "record. Send a `position` record.",
    "too_many_positions": "More positions are open than Botwatch follows; followed: {n}.",
    "no_snapshots": "No position has been reported by the broker: send `position` records.",
    "no_margin": "No margin has been reported: send `marginUsed` and `maintenanceMargin` with the equity.",
    "no_liquidation_price": "No open position has a liquidation price.",
    "no_open_positions": "No position is open.",
    "no_gross_profit": "No winning trade yet to divide by.",
    "no_liquidity": "No fill says whether it was maker or taker.",
    "no_reported_trades": "No closed trade has been reported: send `trade` records.",
}
"""By code; `{n}` is the number of returns, trades or orders. The page fills it in, too."""
EARLIER_REASONS = {
    "unknown_fee_rate": "Fees were paid in a currency without a known rate: send its price, or set "
    "`analytics.currency`.",
}
"""Codes that earlier releases stored."""

WARNINGS = {
    "guessed_currency": "The account's currency is guessed from the symbols: send `currency`.",
    "unknown_opening_position": "The fills contradict the equity: a position was held before the first "
    "record. Send a `position` record.",
    "too_many_positions": "More positions are open than Botwatch follows: no figures of positions.",
    "never_flat": "The bot never goes flat: each reduction of a position counts as a trade.",
    "learned_lot_size": "A lot size is learned from the quantities of fills: set `lotSize`.",
    "approximate_return": "A day's return is approximate: no equity is known near a deposit or withdrawal.",
    "merged_lots": "Lots of a position were merged: it has more than Botwatch follows.",
}
"""What is doubtful about computed metrics, by code of `Performance.warnings`."""


def describe_warning(code: str) -> str:
    """Return the sentence for a warning; for an unknown code, the code as words."""
    return WARNINGS.get(code) or f"{code.replace('_', ' ').capitalize()}."


def describe_undefined(why: Undefined) -> str:
    """Return the sentence for `why`; for an unknown code, the code as words."""
    text = (REASONS | EARLIER_REASONS).get(why.reason) or f"{why.reason.replace('_', ' ').capitalize()}."
    return text.replace("{n}", str(why.n))
