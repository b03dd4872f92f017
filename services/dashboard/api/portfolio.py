"""The API's portfolio: all bots as one account, or those with the same value of a label."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from flask import Blueprint, Response, request

from services.dashboard import snapshot
from services.dashboard.api.answers import Portfolios
from services.dashboard.api.history import range_fields
from services.dashboard.api.parameters import Moment, QueryParameters, Step
from services.dashboard.data_sources import DataSources
from services.dashboard.snapshot import Fields
from shared.analytics.portfolio import (
    Account,
    PortfolioPoint,
    combine,
    daily_returns,
    summarise,
)
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_response
from shared.runtime.web.openapi import Parameter, describe
from shared.schema.accounts import account_currency
from shared.schema.faults import Fault, InvalidError
from shared.schema.records import AnyRecord, Equity, Performance
from shared.schema.timestamps import EPOCH
from shared.schema.undefined_reasons import describe_undefined
from shared.store.account_sums import UNKNOWN, common_currency, describe_missing_rate, describe_several
from shared.store.currency_conversion import CurrencyConversion
from shared.store.portfolio_data import StepEquity, bots_with_equity, equity_by_step
from shared.store.time_buckets import MINUTE, TimeBuckets

DEFAULT_SPAN = timedelta(days=30)
MAX_HOLDINGS = 500_000
"""How many steps of all bots a request may have: 144,000 took 1.1 s of CPU."""
MAX_VALUES = 100
"""How many values of a label have a portfolio, and how many labels are named."""

_DAY = timedelta(days=1)


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
    @describe(
        "Get several bots as one account",
        tag="Performance",
        answers=Portfolios,
        query=(
            Parameter("label", str, "A portfolio for each value of this label; by default one of all bots."),
            Parameter("from", Moment, "30 days ago by default."),
            Parameter("to", Moment, "Now by default."),
            Parameter("step", Step, "At least a minute and at most a day."),
        ),
    )
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
            convert = CurrencyConversion(connection, currency, sources.reporting_currency, steps)
            accounts = {bot.name: convert.account(bot.equity, bot.currency, last) for bot in bots}
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
    currency = account_currency(records) or sources.configured_currency(name)
    values = [(record.at, record.labels[label]) for record in records if label and label in record.labels]
    names = frozenset(name for record in records for name in record.labels)
    return _Bot(name, currency or UNKNOWN, max(values)[1] if values else None, names, curve)


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
    found = summarise(points, daily_returns(points, days))
    return {
        **found.metrics,
        "tradingDays": found.trading_days,
        "undefined": {
            name: {"reason": why.reason, "n": why.n, "text": describe_undefined(why)}
            for name, why in found.undefined.items()
        },
        "lowConfidence": found.low_confidence,
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
