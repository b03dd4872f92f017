"""Accounts of a portfolio in one currency, converted with a price for each step."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from sqlalchemy import Connection

from shared.analytics.portfolio import Account, Holding, bridge
from shared.store.account_sums import UNKNOWN
from shared.store.currency_rates import is_same_currency, rates_by_step
from shared.store.portfolio_data import StepEquity
from shared.store.time_buckets import TimeBuckets

ENDED_AFTER = timedelta(days=1)
"""A bot without equity for so long at the end of the range has left the portfolio."""


class CurrencyConversion:
    """Converts accounts to one currency, with a price for each step."""

    def __init__(
        self, connection: Connection, currency: str | None, reporting: str | None, steps: TimeBuckets
    ) -> None:
        self._connection = connection
        self._currency = currency
        self._steps = steps
        # As in `account_sums`: an unknown currency is assumed to be that of all others, unless configured.
        self._assumes = reporting is None
        self._prices: dict[str, Mapping[int, float]] = {}

    def account(self, curve: Iterable[StepEquity], own: str, last_step: int) -> Account:
        """Return the account of a bot with the currency `own`.

        It is missing in steps without a price, and empty without any; `last_step` is the last one reached.
        """
        known = {point.step: Holding(point.equity, point.flow) for point in curve}
        return self.converted(bridge(known, last_step, ENDED_AFTER // self._steps.width), own)

    def converted(self, account: Account, own: str) -> Account:
        """Return an account in the currency `own` converted, without the steps that have no price."""
        if self._currency is None or is_same_currency(own, self._currency):
            return account
        if own == UNKNOWN:
            return account if self._assumes else {}
        if own not in self._prices:
            found = rates_by_step(self._connection, own, self._currency, self._steps)
            self._prices[own] = {step: rate.price for step, rate in found.items()}
        prices = self._prices[own]
        return {
            step: Holding(holding.equity * prices[step], holding.flow * prices[step])
            for step, holding in account.items()
            if step in prices
        }
