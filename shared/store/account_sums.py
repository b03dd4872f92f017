"""Sums of money over accounts in several currencies."""

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from shared.store.currency_rates import StoredRate, is_same_currency

UNKNOWN = "unknown"
"""Key of the sum over accounts without a known currency."""

NewestRate = Callable[[str, str], StoredRate | None]
"""Returns the newest price of one currency in another, None if there is none."""


class AccountSum(NamedTuple):
    """Money of several accounts: one sum for each currency, and one of all where that makes sense."""

    total: float | None
    currency: str | None
    """Of `total`."""
    by_currency: dict[str, float]
    reason: str | None
    """Why there is no total; None also where there is nothing to sum."""
    rates: dict[str, StoredRate]
    """By currency: what its sum was multiplied with."""

    def rate_fields(self) -> dict[str, object]:
        """Return the rates as the API has them."""
        return {name: {"rate": rate.price, "at": rate.at} for name, rate in self.rates.items()}


def sum_accounts(
    values: Iterable[tuple[str | None, float | None]], reporting: str | None, newest: NewestRate
) -> AccountSum:
    """Sum (currency, value) of accounts, undefined values left out, converted to `reporting`.

    Without a reporting currency there is a total if the accounts have one currency; those whose currency is
    unknown are assumed to have it too, as before Botwatch knew currencies.
    """
    sums: dict[str, float] = {}
    for currency, value in values:
        if value is not None:
            sums[currency or UNKNOWN] = sums.get(currency or UNKNOWN, 0.0) + value
    known = sorted(sums.keys() - {UNKNOWN})
    sums = {name: sums[name] for name in [*known, UNKNOWN] if name in sums}
    target = common_currency(known, reporting)
    if not sums:
        return AccountSum(None, target, {}, None, {})
    if target is None and known:
        return AccountSum(None, None, sums, describe_several(known), {})
    if reporting is None:
        return AccountSum(sum(sums.values()), target, sums, None, {})
    return _convert(sums, reporting, newest)


def common_currency(known: Collection[str], reporting: str | None) -> str | None:
    """Return the currency of a sum over accounts in the `known` currencies; None if there is none."""
    return reporting or (next(iter(known)) if len(known) == 1 else None)


def describe_several(known: Iterable[str]) -> str:
    """Return why accounts in several currencies have no sum."""
    return f"Accounts are in {', '.join(known)}: set `analytics.reportingCurrency` for one sum."


def describe_missing_rate(currency: str, reporting: str) -> str:
    """Return why money cannot be converted, and what to send."""
    if currency == UNKNOWN:
        return "The currency of an account is unknown: send `currency` with its equity."
    return f'No price of {currency}/{reporting}: send it as a metric with the unit "price".'


def _convert(sums: dict[str, float], reporting: str, newest: NewestRate) -> AccountSum:
    total, missing = 0.0, []
    rates: dict[str, StoredRate] = {}
    for currency, value in sums.items():
        if is_same_currency(currency, reporting):
            total += value
        elif currency != UNKNOWN and (rate := newest(currency, reporting)):
            rates[currency] = rate
            total += value * rate.price
        else:
            missing.append(describe_missing_rate(currency, reporting))
    reason = " ".join(missing) or None
    return AccountSum(None if missing else total, reporting, sums, reason, rates)
