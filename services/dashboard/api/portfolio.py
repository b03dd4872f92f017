"""The API's portfolio: all bots as one account, or those with the same value of a label."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from flask import Blueprint, Response, request
from sqlalchemy import Connection

from services.dashboard import snapshot
from services.dashboard.account_sums import UNKNOWN, common_currency, describe_missing_rate, describe_several
from services.dashboard.api.history import range_fields
from services.dashboard.api.parameters import QueryParameters
from services.dashboard.data_sources import DataSources
from services.dashboard.snapshot import Fields
from shared.analytics.portfolio import (
    Account,
    Holding,
    PortfolioPoint,
    bridge,
    combine,
    daily_returns,
    portfolio_metrics,
)
from shared.analytics.returns import CONFIDENT_RETURNS
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_response
from shared.schema.faults import Fault, InvalidError
from shared.schema.records import AnyRecord, Equity, Performance, Undefined
from shared.schema.timestamps import EPOCH
from shared.schema.undefined_reasons import describe_undefined
from shared.store.currency_rates import is_same_currency, rates_by_step
from shared.store.portfolio_data import StepEquity, bots_with_equity, equity_by_step
from shared.store.time_buckets import MINUTE, TimeBuckets

DEFAULT_SPAN = timedelta(days=30)
ENDED_AFTER = timedelta(days=1)
"""A bot without equity for so long at the end of the range has left the portfolio."""
MAX_HOLDINGS = 500_000
"""How many steps of all bots a request may have: 144,000 took 1.1 s of CPU."""
MAX_VALUES = 100
"""How many values of a label have a portfolio, and how many labels are named."""

_DAY = timedelta(days=1)
_PERCENT = {"totalReturn", "currentDrawdown", "maxDrawdown", "volatility", "var95"}
_OF_RETURNS = ("sharpeRatio", "volatility", "var95", "var95Amount")


class PortfolioQuery(NamedTuple):
    """Which portfolios are wanted: one of each value of `label`, else one of all bots."""

    label: str | None
    steps: TimeBuckets


class _Bot(NamedTuple):
    name: str
    currency: str
    label: str | None
    """The value of the label that is asked for."""
    labels: frozenset[str]
    """Names of all its labels."""
    equity: list[StepEquity]


def add_portfolio(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    """Add the route to the API."""

    @api.get("/portfolio")
    def portfolio() -> Response:
        now = clock()
        label, steps = portfolio_query(request.args, now)
        bots = _read_bots(sources, now, label, steps)
        currencies = sorted({bot.currency for bot in bots} - {UNKNOWN})
        currency = common_currency(currencies, sources.reporting_currency)
        labels = sorted({name for bot in bots for name in bot.labels})[:MAX_VALUES]
        head = {"label": label, "labels": labels, **range_fields(steps), "currency": currency}
        if currency is None and currencies:
            reason = describe_several(currencies)
            return json_response({**head, "reason": reason, "portfolios": [], "leftOut": []})
        # The last step that the range has reached, not the end of the step that is not over.
        last = min((now - steps.start) // steps.width, steps.bucket_count - 1)
        with sources.performance.read() as connection:
            convert = _Conversion(connection, currency, sources.reporting_currency, steps)
            accounts = {bot.name: convert.account(bot, last) for bot in bots}
        groups = _groups([bot for bot in bots if accounts[bot.name]], label)
        return json_response(
            {
                **head,
                "reason": None,
                "portfolios": [
                    {"value": value, "bots": own, **_portfolio([accounts[name] for name in own], steps)}
                    for value, own in groups.items()
                ],
                "leftOut": [
                    {
                        "bot": bot.name,
                        "currency": bot.currency,
                        "reason": describe_missing_rate(bot.currency, str(currency)),
                    }
                    for bot in bots
                    if not accounts[bot.name]
                ],
            }
        )


def portfolio_query(arguments: Mapping[str, str], now: datetime) -> PortfolioQuery:
    """Read which portfolios are wanted: by default of 30 days, in steps of at most a day."""
    read = QueryParameters(arguments, ("label", "from", "to", "step"))
    steps = read.time_buckets(now, MINUTE, most=_DAY, span=DEFAULT_SPAN)
    query = PortfolioQuery(read.text("label"), steps)
    read.check()
    return query


def _read_bots(sources: DataSources, now: datetime, label: str | None, steps: TimeBuckets) -> list[_Bot]:
    """Return the bots with equity in the range. InvalidError if there are too many for so many steps."""
    known = snapshot.group_by_bot(sources.read_current(now).records)
    with sources.performance.read() as connection:
        names = bots_with_equity(connection)
        if len(names) * steps.bucket_count > MAX_HOLDINGS:
            most = MAX_HOLDINGS // len(names)
            expected = f"expected at most {most} steps for {len(names)} bots, got {steps.bucket_count}"
            raise InvalidError([Fault("step", f"{expected}; use a wider `step` or a later `from`")])
        curves = equity_by_step(connection, names, steps)
    return [
        _bot(sources, name, known.get(name) or sources.last_stored(name, (Equity, Performance)), label, curve)
        for name, curve in curves.items()
    ]


def _bot(
    sources: DataSources, name: str, records: Sequence[AnyRecord], label: str | None, curve: list[StepEquity]
) -> _Bot:
    currency = snapshot.account_currency(records) or sources.configured_currency(name)
    values = [(record.at, record.labels[label]) for record in records if label and label in record.labels]
    names = frozenset(name for record in records for name in record.labels)
    return _Bot(name, currency or UNKNOWN, max(values)[1] if values else None, names, curve)


class _Conversion:
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

    def account(self, bot: _Bot, last_step: int) -> Account:
        """Return a bot's account; it is missing in steps without a price, and empty without any."""
        own = {point.step: Holding(point.equity, point.flow) for point in bot.equity}
        bridged = bridge(own, last_step, ENDED_AFTER // self._steps.width)
        if self._currency is None or is_same_currency(bot.currency, self._currency):
            return bridged
        if bot.currency == UNKNOWN:
            return bridged if self._assumes else {}
        if bot.currency not in self._prices:
            found = rates_by_step(self._connection, bot.currency, self._currency, self._steps)
            self._prices[bot.currency] = {step: rate.price for step, rate in found.items()}
        prices = self._prices[bot.currency]
        return {
            step: Holding(holding.equity * prices[step], holding.flow * prices[step])
            for step, holding in bridged.items()
            if step in prices
        }


def _groups(bots: Iterable[_Bot], label: str | None) -> dict[str | None, list[str]]:
    """Return the bots by value of the label, those without it last; all together without a label."""
    found: dict[str | None, list[str]] = {} if label else {None: []}
    for bot in bots:
        found.setdefault(bot.label, []).append(bot.name)
    ordered = sorted(found, key=lambda value: (value is None, value or ""))
    return {value: found[value] for value in ordered[:MAX_VALUES]}


def _portfolio(accounts: Sequence[Account], steps: TimeBuckets) -> Fields:
    points = combine(accounts)
    days = {point.step: (steps.start + steps.width * point.step - EPOCH) // _DAY for point in points}
    returns = daily_returns(points, days)
    metrics = portfolio_metrics(points, returns)
    undefined = {name: value for name, value in metrics.items() if isinstance(value, Undefined)}
    few = 0 < len(returns) < CONFIDENT_RETURNS
    return {
        **{
            name: None if isinstance(value, Undefined) else value * (100 if name in _PERCENT else 1)
            for name, value in metrics.items()
        },
        "tradingDays": len(returns),
        "undefined": {
            name: {"reason": why.reason, "n": why.n, "text": describe_undefined(why)}
            for name, why in undefined.items()
        },
        "lowConfidence": {name: len(returns) for name in _OF_RETURNS if few and name not in undefined},
        "points": [_point(point, steps) for point in points],
    }


def _point(point: PortfolioPoint, steps: TimeBuckets) -> Fields:
    return {
        "timestamp": steps.start + steps.width * point.step,
        "equity": point.equity,
        "netFlow": point.flow,
        "pnl": point.pnl,
        "return": None if point.gain is None else point.gain * 100,
        "drawdown": point.drawdown * 100,
        "bots": point.accounts,
    }
