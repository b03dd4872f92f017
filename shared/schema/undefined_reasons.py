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
    "unknown_fee_rate": "Fees were paid in a currency without a known rate: send its price, or set "
    "`analytics.currency`.",
}
"""By code; `{n}` is the number of returns, trades or orders. The page fills it in, too."""


def describe_undefined(why: Undefined) -> str:
    """Return the sentence for `why`; for an unknown code, the code as words."""
    text = REASONS.get(why.reason) or f"{why.reason.replace('_', ' ').capitalize()}."
    return text.replace("{n}", str(why.n))
