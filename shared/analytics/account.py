"""Account: one bot's raw events in the order of time in, every metric out.

The state is a fold of the events in the order of `events.event_order`, and nothing else: folding the same
events gives the same metrics to the last bit.
"""

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from shared.analytics.contracts import Contract
from shared.analytics.curve import EquityBar
from shared.analytics.disagreements import find_disagreements
from shared.analytics.events import (
    EquityPoint,
    Execution,
    Flow,
    FundingPaid,
    OrderUpdate,
    PositionReport,
    Quote,
    ReportedMetrics,
    TradeReport,
    TradingEvent,
    event_order,
)
from shared.analytics.execution import execution_metrics
from shared.analytics.flows import FlowShares, PendingFlows
from shared.analytics.hidden_positions import Account, HiddenPositions
from shared.analytics.metrics import compute_metrics, performance_record
from shared.analytics.opening import OpeningCheck
from shared.analytics.rates import NO_RATES, Rates
from shared.analytics.reductions import MatchedFill
from shared.analytics.reported_trades import closed_trade
from shared.analytics.settings import AnalyticsSettings
from shared.analytics.state import VERSION, AccountState, upgraded
from shared.analytics.symbols import common_code, pair_of
from shared.analytics.trade import Trade
from shared.analytics.trades import TradeStatistics
from shared.analytics.value import MetricValue
from shared.schema.records import Performance

UNKNOWN_OPENING = "unknown_opening_position"
COMPARE_INTERVAL_MS = 10_000
"""Minimum interval between comparisons of reported and computed metrics, by the bot's clock."""


class BotAccount:
    """A bot's state, and its output since it was last taken."""

    def __init__(
        self, settings: AnalyticsSettings, state: AccountState | None = None, rates: Rates = NO_RATES
    ) -> None:
        self.state = state or AccountState(settings=settings)
        self._rates = rates
        if settings.benchmark:
            self.state.benchmark.symbol = settings.benchmark
        self.trades: list[Trade] = []
        """Trades closed since they were last taken."""
        self.minutes: dict[int, EquityBar] = {}
        """Minutes and hours ended since they were last taken, by start in epoch milliseconds."""
        self.hours: dict[int, EquityBar] = {}
        self._zone = ZoneInfo(settings.time_zone)
        self._execution: dict[str, MetricValue] | None = None
        self._handlers: dict[type, Callable[[Any], None]] = {
            EquityPoint: self._take_equity,
            Execution: self._take_fill,
            OrderUpdate: self._take_order,
            Quote: self._take_quote,
            ReportedMetrics: self._take_report,
        }

    @property
    def last_event(self) -> tuple[int, int, int]:
        """Order of the latest event; earlier events must not be applied."""
        return self.state.head

    def to_json(self) -> bytes:
        """Return the state as JSON."""
        return msgspec.json.encode(self.state)

    @classmethod
    def from_json(
        cls,
        data: bytes | str,
        settings: AnalyticsSettings,
        rates: Rates = NO_RATES,
        *,
        oldest_version: int = VERSION,
    ) -> "BotAccount | None":
        """Restore the result of `to_json`; None if it is of an older version or of other settings."""
        try:
            state = msgspec.convert(upgraded(msgspec.json.decode(data)), AccountState)
        except (msgspec.DecodeError, msgspec.ValidationError, KeyError, TypeError):
            return None
        if not oldest_version <= state.version <= VERSION or _state_settings(
            state.settings
        ) != _state_settings(settings):
            return None
        state.settings, state.version = settings, VERSION
        if not settings.compare:
            state.differences, state.differed = None, []
        return cls(settings, state, rates)

    def convert(self, amount: float, of: str | None, at: int) -> float | None:
        """Return `amount` of currency `of` in the account's currency; None while its rate is unknown.

        An unknown currency `of` counts as the account's; while that is unknown, `of` is taken for it.
        """
        state, of = self.state, common_code(of)
        to = state.account_currency()
        if of is None or of == to:
            return amount
        if to is None:
            state.guessed_currency = to = of
        if of != state.guessed_currency and state.is_currency_guessed:
            state.relied_on_guess = True
        return state.conversions.convert(self._rates, amount, of, to, at)

    def apply(self, event: TradingEvent) -> None:
        """Fold one event; ValueError if it precedes the latest one."""
        place = event_order(event)
        state = self.state
        if place < state.head:
            raise ValueError(f"the event at {place} comes before {state.head}")
        state.head = place
        state.began = state.began or event.at
        handle = self._handlers.get(type(event), self._take_account_event)
        handle(event)

    def _take_order(self, event: OrderUpdate) -> None:
        self._execution = None
        self.state.orders.apply_update(event, self.state.book.quotes.get(event.symbol))

    def _take_quote(self, event: Quote) -> None:
        state = self.state
        state.book.apply_quote(event)
        if event.symbol == state.benchmark.symbol:
            state.benchmark.apply_price(event.at, event.price, state.returns.day_end)

    def _take_account_event(self, event: PositionReport | TradeReport | FundingPaid | Flow) -> None:
        state = self.state
        match event:
            case PositionReport():
                self._take_position(event)
            case TradeReport():
                state.reported.apply_report(event)
            case FundingPaid():
                amount = self.convert(event.amount, event.currency, event.at)
                state.book.apply_funding(event, amount)
            case Flow():
                amount = self.convert(event.amount, event.currency, event.at)
                state.pending_flows.add(event.at, amount, state.equity_at)

    def _take_fill(self, event: Execution) -> None:
        state = self.state
        self._execution = None
        reference = state.orders.apply_fill(event, state.book.quotes.get(event.symbol))
        if not state.settings.benchmark:
            state.benchmark.apply_fill(event.symbol)
        if event.symbol == state.benchmark.symbol:
            state.benchmark.apply_price(event.at, event.price, state.returns.day_end)
        contract = state.book.learn(event.symbol, event.terms, state.settings, event.fee_currency)
        currency = state.account_currency()
        if currency is None:
            currency = state.guessed_currency = contract.money
        rate = 1.0 if contract.money == currency else self.convert(1.0, contract.money, event.at)
        matching = state.settings.matching or ("average" if state.book.never_flat else None)
        trades = state.book.apply_fill(MatchedFill(event, contract, matching, currency, rate, self.convert))
        self._add_costs(event, contract, rate or 0.0, reference)
        if state.is_opening_unknown:
            trades = [trade.without_pnl(UNKNOWN_OPENING) for trade in trades]
        for trade in trades:
            state.trades.apply(trade)
            state.reported.apply_folded(closed_trade(trade))
            state.opening.apply_trade(trade)
            if trade.pnl is not None:
                state.costs.apply_trade(trade.pnl, trade.fees + trade.funding)
            self.trades.append(trade)

    def _add_costs(self, event: Execution, contract: Contract, rate: float, reference: float | None) -> None:
        """Add what an execution traded, and what it cost against the reference price of its order."""
        slippage = 0.0
        if reference is not None:
            quantity = event.quantity if event.side == "buy" else -event.quantity
            slippage = contract.pnl(quantity, reference, event.price) * rate
        notional = abs(contract.notional(event.quantity, event.price)) * rate
        self.state.costs.apply_fill(notional, slippage, is_maker=event.is_maker)

    def _take_position(self, event: PositionReport) -> None:
        state = self.state
        state.book.apply_report(event, state.settings, self.convert)
        if state.is_opening_unknown:
            # Trades made from half of the fills are no trades; from here on the position is known.
            state.trades = TradeStatistics()
            state.opening, state.hidden = OpeningCheck(), HiddenPositions()
            if state.equity is not None:
                state.other = state.total(state.equity) - state.book.realized() - state.book.unrealized()

    def _take_equity(self, event: EquityPoint) -> None:
        state = self.state
        state.own_equity = True
        state.margin_used, state.maintenance_margin = event.margin_used, event.maintenance_margin
        self._add_point(event)

    def _add_point(self, event: EquityPoint) -> None:
        state = self.state
        state.reported_currency = event.currency or state.reported_currency
        at, equity = event.at, event.equity
        if state.equity is not None:
            state.costs.apply_equity(at - state.equity_at, state.equity)
        if at >= state.returns.day_end:
            self._end_day()
        flows = self._begin(event) if state.equity is None else self._take_flows(event, state.equity)
        net_flow = flows.early + flows.late
        state.flows += net_flow
        state.returns.apply(at, equity, flows.late, self._zone)
        state.drawdown.apply(at, equity, flows.late, state.start)
        state.drawdown.apply_pnl(state.total(equity), equity)
        if flows.is_approximate:
            state.returns.approximated_at = state.returns.day_end
        state.equity, state.equity_at, state.unrealized = equity, at, event.unrealized
        minute, hour = state.curve.apply(
            at, equity, net_flow, state.drawdown.last, state.drawdown.peak or 0.0
        )
        if minute:
            self.minutes[minute.begin] = minute
        if hour:
            self.hours[hour.begin] = hour
        if state.book.is_flat():
            state.other = state.total(equity) - state.book.realized() - state.book.unrealized()
            self._check_opening()
        if at >= state.hidden.next_at:
            self._look_for_hidden(at, equity)

    def _check_opening(self) -> None:
        """Look whether the equity of a flat account shows a position from before the first record."""
        state, book = self.state, self.state.book
        if book.reports or len(book.places) != 1 or book.unconverted:
            return
        symbol = next(iter(book.places)).partition("\n")[0]
        contract = book.contract(symbol)

        def gain(entry: float, exit_price: float) -> float | None:
            rate = self._rate_of(contract.money)
            return None if rate is None else contract.pnl(1.0, entry, exit_price) * rate

        price = book.prices.get(symbol)
        state.opening.apply_flat(price, state.other, book.earned, gain, is_spot=contract.is_spot)
        if state.opening.is_unknown:
            self._take_back_trades()

    def _look_for_hidden(self, at: int, equity: float) -> None:
        """Look whether price moves show a position from before the first record."""
        state, book = self.state, self.state.book
        is_doubtful = state.is_opening_unknown or book.unconverted or state.unconverted_flows or book.dropped
        if is_doubtful or book.reports or not book.places:
            return
        pnl, traded, currency = state.total(equity), state.costs.notional, state.account_currency()
        state.hidden.apply(Account(at, equity, pnl, traded, book, currency, self._rate_of))
        if state.hidden.is_found:
            self._take_back_trades()

    def _rate_of(self, money: str | None) -> float | None:
        """Return the rate from a currency to the account's at the latest event."""
        return self.convert(1.0, money, self.state.head[0])

    def _take_back_trades(self) -> None:
        """Give the first trades again, without P&L."""
        self.trades += [trade.without_pnl(UNKNOWN_OPENING) for trade in self.state.opening.take_trades()]

    def _end_day(self) -> None:
        """End the trading day of the latest equity point, if there is one."""
        state = self.state
        state.drawdown.end_day()
        rate = None
        if state.settings.benchmark and state.benchmark.price is None and state.returns.day_end:
            pair = pair_of(state.settings.benchmark)
            if pair.base and pair.quote:
                moment = state.returns.day_end
                rate = state.conversions.convert(self._rates, 1.0, pair.base, pair.quote, moment)
        state.benchmark.end_day(state.returns.current(), rate)

    def _begin(self, event: EquityPoint) -> FlowShares:
        """Set the start equity, and return the flows that count at the first point.

        Unless configured, the start equity is the equity before the first fills, which includes earlier
        deposits.
        """
        state = self.state
        state.equity_began = event.at
        if state.settings.start_equity is None:
            state.start = event.equity - state.book.realized() - state.book.unrealized() + state.book.opening
            state.pending_flows = PendingFlows()
            return FlowShares(0.0, 0.0)
        state.start = state.settings.start_equity
        state.returns.start_from(state.start)
        return self._take_flows(event, state.start)

    def _take_flows(self, event: EquityPoint, before: float) -> FlowShares:
        """Return the flows since the equity `before`, and take those that count right after it.

        A flow without a rate counts as the whole change of the equity.
        """
        state, pending = self.state, self.state.pending_flows
        if pending.unconverted:
            state.unconverted_flows = True
            state.pending_flows = PendingFlows()
            return FlowShares(0.0, event.equity - before, is_approximate=True)
        if not pending.first_at:
            return FlowShares(0.0, event.net_flow)
        early, late, is_approximate = pending.shares(event.at, before, state.equity_at)
        state.pending_flows = PendingFlows()
        if early:
            state.returns.apply(event.at, before + early, early, self._zone)
            state.drawdown.apply(state.equity_at or event.at, before + early, early, state.start)
        return FlowShares(early, late + event.net_flow, is_approximate)

    def _take_report(self, event: ReportedMetrics) -> None:
        state = self.state
        if not state.own_equity and event.portfolio_value is not None:
            self._add_point(EquityPoint(event.at, event.portfolio_value))
        has_raw = state.own_equity or state.book.fills or state.orders.n
        if state.settings.compare and has_raw and event.at >= state.compared_at + COMPARE_INTERVAL_MS:
            state.compared_at = event.at
            state.differed = list(state.differences or ())
            state.differences = find_disagreements(event.figures, self.values(), state.equity)

    def mark_rates(self) -> dict[str, float]:
        """Return the rates of now from the currencies of open positions to the account's, by symbol.

        They are for display: what they value is no part of the state. Symbols without a rate that is new
        enough are left out; for these, that of the latest fill counts.
        """
        state, currency, found = self.state, self.state.account_currency(), {}
        for held in state.book.open_positions():
            money = state.book.contract(held.symbol).money
            if money is not None and currency is not None and money != currency:
                rate = self._rates.rate(money, currency, state.head[0])
                if rate is not None:
                    found[held.symbol] = rate
        return found

    def values(self) -> dict[str, MetricValue]:
        """Return every metric by attribute of `Performance`; shares are fractions."""
        if self._execution is None:
            self._execution = execution_metrics(self.state.orders)
        return compute_metrics(self.state, self.mark_rates()) | self._execution

    def performance(self, bot: str) -> Performance | None:
        """Return the metrics as a computed record of `bot`, in the wire's units; None without events."""
        return performance_record(bot, self.state, self.values()) if self.state.began else None


def _state_settings(settings: AnalyticsSettings) -> tuple[object, ...]:
    """Return the settings that the state depends on; the others only affect derived metrics."""
    return (
        settings.start_equity,
        settings.currency,
        settings.time_zone,
        settings.rate_max_age_s,
        settings.benchmark,
        settings.matching,
        settings.symbols,
    )
