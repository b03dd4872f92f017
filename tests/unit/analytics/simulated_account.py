"""Simulated accounts: a bot that trades several symbols, what its broker holds, how equity is reported."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.analytics.account import BotAccount
from shared.analytics.events import EquityPoint, Execution, Quote
from shared.analytics.rates import QuotedRates
from shared.analytics.settings import AnalyticsSettings
from shared.schema.records import Side

BEGIN_MS = 1_767_225_600_000
MINUTE_MS = 60_000
STRATEGIES = ("random", "grid", "accumulate", "flip", "trend")


@dataclass(kw_only=True)
class SimulatedAccount:
    """An honest account, unless `hidden` says what it held before; a distortion is one of its reports."""

    chance: random.Random
    symbols: Sequence[str] = ("COIN0/USDT:USDT", "COIN1/USDT:USDT", "COIN2/USDT:USDT")
    currency: str = "USDT"
    strategy: str = "random"
    hidden: Mapping[str, float] = field(default_factory=dict)
    """Notional held before the first record, in units of what a trade has."""
    volatility: float = 0.004
    late: int = 0
    """Steps by which the equity is late."""
    rounding: float = 0.0
    unknown_fee: float = 0.0
    """Share of each fill's notional that no record tells."""
    bounce: float = 0.0
    """Share by which quotes are off the price that the broker marks at."""
    quoted: float = 1.0
    """Share of the prices that are told."""
    multiplier: float = 1.0
    """Of the contracts; no record tells it."""
    flow: float = 0.0
    """Share of the steps with a deposit or a withdrawal that no record tells."""
    reports: Callable[["SimulatedAccount"], float] = lambda account: account.worth
    """What the bot takes for its equity."""
    is_inverse: bool = False

    start: float = 10_000.0

    def __post_init__(self) -> None:
        self.rates = QuotedRates()
        self.bot = BotAccount(AnalyticsSettings(currency=self.currency), rates=self.rates)
        self.prices = {symbol: 10 ** self.chance.uniform(0, 4) for symbol in self.symbols}
        self.first = dict(self.prices)
        self.sizes = {
            symbol: 1000.0 if self.is_inverse else 1000 / price for symbol, price in self.prices.items()
        }
        self.held = dict.fromkeys(self.symbols, 0.0)
        self.costs = dict(self.prices)
        self.cash = self.start
        self.told: list[float] = []
        self.step = 0

    @property
    def worth(self) -> float:
        """What the broker says the account is worth."""
        return self.cash + sum(
            self.multiplier * self.held[symbol] * self._value(price)
            + self.hidden.get(symbol, 0.0)
            * self.sizes[symbol]
            * (self._value(price) - self._value(self.first[symbol]))
            for symbol, price in self.prices.items()
        )

    @property
    def unrealized(self) -> float:
        """What the open positions of the bot have gained."""
        return sum(
            self.multiplier * held * (self._value(self.prices[symbol]) - self.costs[symbol])
            for symbol, held in self.held.items()
        )

    def run(self, steps: int) -> bool:
        """Let minutes pass; return whether a position from before the first record was found, once it is."""
        for _ in range(steps):
            self._pass_minute(BEGIN_MS + self.step * MINUTE_MS)
            self.step += 1
            if self.bot.state.is_opening_unknown:
                return True
        return False

    def _pass_minute(self, at: int) -> None:
        common = self.chance.gauss(0, 0.5)
        for symbol in self.symbols:
            self.prices[symbol] *= math.exp(self.volatility * (common + self.chance.gauss(0, 1)))
            if self.chance.random() < self.quoted:
                self._tell(Quote(at, symbol, self._quote(symbol)))
        for symbol in self.symbols:
            self._trade(at + 1, symbol)
        if self.chance.random() < self.flow:
            self.cash += self.chance.choice((-1, 1)) * self.chance.uniform(100, 5000)
        self.told.append(self.reports(self))
        equity = self.told[max(0, self.step - self.late)]
        if self.rounding:
            equity = round(equity / self.rounding) * self.rounding
        self.bot.apply(EquityPoint(at + 2, equity))

    def _value(self, price: float) -> float:
        """Return what a unit is worth: of inverse contracts, the negative reciprocal of the price."""
        return -1 / price if self.is_inverse else price

    def _quote(self, symbol: str) -> float:
        return self.prices[symbol] * (1 + self.bounce * self.chance.choice((-1, 1)))

    def _tell(self, event: Quote | Execution) -> None:
        self.rates.add(event)
        self.bot.apply(event)

    def _trade(self, at: int, symbol: str) -> None:
        held, price = self.held[symbol], self._quote(symbol)
        change = self._wanted(symbol) - held
        if abs(change) < 1e-9 * self.sizes[symbol]:
            return
        after = held + change if abs(held + change) > 1e-9 * self.sizes[symbol] else 0.0
        self._cost(symbol, after, price)
        notional = abs(change * self._value(price)) * self.multiplier
        if self.is_inverse:
            notional = abs(change) / price
        self.cash -= self.multiplier * change * self._value(price) + self.unknown_fee * notional
        self.held[symbol] = after
        side: Side = "buy" if change > 0 else "sell"
        self._tell(Execution(at, f"{self.step}-{symbol}", symbol, side, abs(change), price, 0, self.currency))

    def _cost(self, symbol: str, after: float, price: float) -> None:
        """Keep the average cost of what is held."""
        held, value = self.held[symbol], self._value(price)
        if not held or held * after < 0:
            self.costs[symbol] = value
        elif abs(after) > abs(held):
            self.costs[symbol] = (held * self.costs[symbol] + (after - held) * value) / after

    def _wanted(self, symbol: str) -> float:
        """Return the quantity that the strategy wants to hold now."""
        held, size = self.held[symbol], self.sizes[symbol]
        risen = math.log(self.prices[symbol] / self.first[symbol])
        if self.strategy == "grid":
            return -round(risen / (3 * self.volatility)) * size / 4
        if self.chance.random() > 0.2:
            return held
        if self.strategy == "random":
            return size * self.chance.choice((-2, -1, 0, 1, 2))
        if self.strategy == "accumulate":
            return held + size / 5 if held < 2 * size else 0.0
        if self.strategy == "trend":
            return math.copysign(size, risen)
        return 0.0 if held else size * self.chance.choice((-1, 1))
