"""Why a figure has no value, in words: the codes of `Undefined.reason`, each with a sentence for people."""

from shared.schema.records import Undefined

REASONS = {
    "no_equity": "No equity has been reported yet.",
    "no_fills": "Nothing has been filled yet.",
    "no_trades": "No trade has been closed yet.",
    "no_losses": "Nothing has been lost yet, so there is nothing to divide by.",
    "no_orders": "No order has been reported yet.",
    "no_closed_orders": "No order has ended yet; orders so far: {n}.",
    "no_latencies": "No order has reported both moments yet.",
    "no_reference_price": "No filled order has a price decided on, nor a quote, to compare with.",
    "no_variation": "The daily returns do not vary, so there is nothing to divide by.",
    "no_drawdown": "There has been no drawdown yet, so there is nothing to divide by.",
    "not_positive_equity": "The equity is not above zero.",
    "too_few_returns": "Too few daily returns so far: {n}.",
    "too_short": "Too little time has passed to extrapolate from.",
    "too_large": "The value is too large to mean anything.",
    "unknown_fee_rate": "Fees were paid in a currency whose rate is not known: send its price, or set "
    "`analytics.currency`.",
}
"""By code; `{n}` is how many returns, trades or orders there are. The page fills it in as `in_words` does."""


def describe_undefined(why: Undefined) -> str:
    """Return the sentence for `why`; a code that is not known is its own words."""
    text = REASONS.get(why.reason) or f"{why.reason.replace('_', ' ').capitalize()}."
    return text.replace("{n}", str(why.n))
